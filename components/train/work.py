"""One training, from the records to a stored model, told in the order in which it happens."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from components.train.parameters import Parameters

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from components.train.checkpoints import Checkpoints, SpoiledCheckpoint, TrainingState
from components.train.input_pipeline import batches
from components.train.models import MODELS, StrictTripletAccuracy, Triplets
from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.funnel import read_funnel
from fec.history import History
from fec.layout import TRAIN
from fec.progress import event, track
from fec.record_files import RecordFiles
from fec.records import SpoiledRecord, read_frames
from fec.storage import Storage

# Steps whose mean loss and accuracy make one point of the curves.
POINT: Final = 10


def train(storage: Storage, parameters: Parameters, records: RecordFiles, run: str, fingerprint: str) -> None:
    """Train ``run`` and put it into ``models/<run>/``; see ``components.train.step.run``."""
    tf.config.experimental.enable_op_determinism()
    directory = layout.model_dir(run)
    workspace = f"{directory}/{fingerprint[:16]}"
    folder = storage.workspace(workspace)
    checkpoints = Checkpoints(storage, f"{directory}/checkpoint", fingerprint, folder)
    triplets, state = _restored(parameters, records.image_size, checkpoints)
    with ExitStack() as stack:
        files = [stack.enter_context(storage.local_copy(path)) for path in records.paths]
        data = batches(files, _types(storage), records.image_size, parameters.batch_size, parameters.seed, state.step)
        try:
            _fit(triplets, data, parameters, state, checkpoints, folder / "logs")
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise RunFailed(_what_is_spoiled(records.paths, files, error)) from None
    digest = _store_model(triplets.network, folder / "model.keras", records.image_size)
    _put(storage, directory, folder, state.history, parameters, records)
    checkpoints.forget()
    counts = {"steps": parameters.steps, "triplets": records.triplets, "parameters": triplets.network.count_params()}
    write_done(storage, directory, Done("train", fingerprint, digest, counts, {"image_size": records.image_size}))
    storage.remove_workspace(workspace)
    history = state.history
    event(
        "trained",
        f"trained {parameters.steps:,} steps on {records.triplets:,} triplets: loss {history.loss[-1]:.3f}, triplet "
        f"accuracy of the last batches {history.triplet_accuracy[-1]:.3f} (chance 0.333)",
    )


def compiled(model: str, image_size: int, steps: int, learning_rate: float, seed: int) -> Triplets:
    """The network ``model`` over triplets, ready to train: Adam, its rate falling to zero along a cosine."""
    keras.utils.set_random_seed(seed % 2**32)
    triplets = Triplets(MODELS[model](image_size))
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    # XLA makes training on a CPU 1.6 to 1.9 times slower, and is off wherever operations are deterministic.
    triplets.compile(optimizer=keras.optimizers.Adam(schedule), metrics=[StrictTripletAccuracy()], jit_compile=False)
    triplets(keras.ops.zeros((1, 3, image_size, image_size, 3)))
    triplets.optimizer.build(triplets.trainable_variables)
    return triplets


def _restored(parameters: Parameters, image_size: int, checkpoints: Checkpoints) -> tuple[Triplets, TrainingState]:
    """The model as it was when training was interrupted, or as it is at the start."""
    p = parameters

    def new() -> Triplets:
        return compiled(p.model, image_size, p.steps, p.learning_rate, p.seed)

    triplets = new()
    try:
        return triplets, checkpoints.restore(triplets)
    except SpoiledCheckpoint:
        return new(), TrainingState()


def _fit(
    triplets: Triplets,
    data: Any,
    parameters: Parameters,
    state: TrainingState,
    checkpoints: Checkpoints,
    logs: Path,
) -> None:
    """Train up to ``parameters.steps``, keeping ``state`` up to date."""
    steps = iter(data)
    history = state.history
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default(), track("train", parameters.steps, "steps") as progress:
        progress.advance(state.step)
        while state.step < parameters.steps:
            faces, labels = next(steps)
            metrics = triplets.train_on_batch(faces, labels, return_dict=True)
            loss, accuracy = float(metrics["loss"]), float(metrics["triplet_accuracy"])
            if not math.isfinite(loss):
                raise RunFailed(
                    f"the loss is {loss} at step {state.step + 1}: try a lower --learning-rate than "
                    f"{parameters.learning_rate}"
                )
            state.step += 1
            state.since.append((loss, accuracy))
            if state.step % POINT == 0 or state.step == parameters.steps:
                means = [sum(values) / len(values) for values in zip(*state.since, strict=True)]
                state.since.clear()
                history.steps.append(state.step)
                history.loss.append(means[0])
                history.triplet_accuracy.append(means[1])
                tf.summary.scalar("loss", means[0], step=state.step)
                tf.summary.scalar("triplet_accuracy", means[1], step=state.step)
                progress.note("loss", means[0])
                progress.note("accuracy", means[1])
            progress.advance()
            if state.step % parameters.checkpoint_every == 0 and state.step < parameters.steps:
                writer.flush()
                checkpoints.save(triplets, state)
    writer.close()


def _types(storage: Storage) -> list[int]:
    """The triplet types that occur in the train split."""
    return [int(kind) for kind, count in sorted(read_funnel(storage, TRAIN).types.items()) if count]


def _what_is_spoiled(paths: Sequence[str], files: Sequence[Path], error: Exception) -> str:
    """Why TensorFlow could not read the records: the file that is spoiled, or else what it said."""
    for path, local in zip(paths, files, strict=True):
        try:
            with local.open("rb") as file:
                for _ in read_frames(file):
                    pass
        except SpoiledRecord as spoiled:
            return f"{path}: {spoiled}; delete it and run the datagen step again"
    said = str(error).strip().splitlines()[0][:300]
    return f"the records of {TRAIN} cannot be trained on ({said}); run the datagen step again"


def _store_model(network: keras.Model, path: Path, image_size: int) -> str:
    """Write ``network`` to ``path``, make sure that it loads as what it is, and give the file's SHA-256 in hex."""
    network.save(path)
    _make_reproducible(path)
    probe = np.random.default_rng(0).uniform(0, 255, (4, image_size, image_size, 3)).astype(np.float32)
    reloaded = keras.saving.load_model(path, compile=False)
    if not np.allclose(network.predict_on_batch(probe), reloaded.predict_on_batch(probe), atol=1e-5):
        raise RunFailed("the stored model gives other embeddings than the trained one: nothing was kept")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _put(
    storage: Storage, directory: str, folder: Path, history: History, parameters: Parameters, records: RecordFiles
) -> None:
    about = {
        "parameters": {name: value for name, value in asdict(parameters).items() if name != "root"},
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "triplets": records.triplets,
        "image_size": records.image_size,
    }
    # A marker of other parameters must not outlive the model it was written for.
    storage.delete(f"{directory}/{layout.DONE}")
    for entry in list(storage.list(f"{directory}/logs")):
        storage.delete(entry.path)
    for log in sorted((folder / "logs").iterdir()):
        storage.write_file(f"{directory}/logs/{log.name}", log)
    storage.write(f"{directory}/history.json", history.to_bytes())
    storage.write(f"{directory}/train.json", (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())
    storage.write_file(f"{directory}/model.keras", folder / "model.keras")


def _make_reproducible(path: Path) -> None:
    """Rewrite a ``.keras`` archive so that the same model gives the same bytes.

    Keras writes the moment of saving into the metadata, and addresses in memory into the configuration as ids
    of shared objects; ids only have to be equal where objects are the same, so they are numbered instead.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        members["config.json"],
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
