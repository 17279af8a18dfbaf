"""One training, from the records to a stored model, told in the order in which it happens."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf

from components.train.input_pipeline import batches
from components.train.models import MODELS, StrictTripletAccuracy, Triplets
from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.layout import TRAIN
from fec.progress import event, track
from fec.storage import Storage

if TYPE_CHECKING:
    from components.train.step import Parameters, Records

# Steps whose mean loss and accuracy make one point of the curves.
POINT = 10


@dataclass
class History:
    """The training curves: the last step of each point, mean loss and strict triplet accuracy up to it."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    triplet_accuracy: list[float] = field(default_factory=list)


def train(storage: Storage, parameters: Parameters, records: Records, run: str, fingerprint: str) -> None:
    """Train ``run`` and put it into ``models/<run>/``."""
    keras.utils.set_random_seed(parameters.seed)
    tf.config.experimental.enable_op_determinism()
    directory = layout.model_dir(run)
    folder = storage.workspace(f"{directory}/{fingerprint[:16]}")

    network = MODELS[parameters.model](records.image_size)
    triplets = Triplets(network)
    schedule = keras.optimizers.schedules.CosineDecay(parameters.learning_rate, parameters.steps)
    triplets.compile(optimizer=keras.optimizers.Adam(schedule), metrics=[StrictTripletAccuracy()], jit_compile=False)
    triplets(keras.ops.zeros((1, 3, records.image_size, records.image_size, 3)))
    triplets.optimizer.build(triplets.trainable_variables)

    checkpoints = Checkpoints(storage, f"{directory}/checkpoint", folder)
    first_step, history = checkpoints.restore(triplets)
    with ExitStack() as stack:
        files = [stack.enter_context(storage.local_copy(file)) for file in records.files]
        data = batches(
            files,
            _types(storage),
            records.image_size,
            parameters.batch_size,
            parameters.seed,
            first_step,
        )
        _fit(triplets, data, parameters, first_step, history, checkpoints, folder / "logs")

    model = folder / "model.keras"
    network.save(model)
    _make_reproducible(model)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    reloaded = keras.saving.load_model(model)
    if reloaded.count_params() != network.count_params():
        raise RunFailed(f"the stored model of {run} does not load as what was trained")
    _put(storage, directory, folder, history, parameters, records)
    counts = {"steps": parameters.steps, "triplets": records.triplets, "parameters": network.count_params()}
    checkpoints.forget()
    write_done(storage, directory, Done("train", fingerprint, digest, counts, {"image_size": records.image_size}))
    storage.remove_workspace(f"{directory}/{fingerprint[:16]}")


def _fit(
    triplets: Triplets,
    data: Any,
    parameters: Parameters,
    first_step: int,
    history: History,
    checkpoints: Checkpoints,
    logs: Path,
) -> None:
    steps = iter(data)
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default(), track("train", parameters.steps, "steps") as progress:
        progress.advance(first_step)
        point: list[tuple[float, float]] = []
        for step in range(first_step + 1, parameters.steps + 1):
            faces, labels = next(steps)
            metrics = triplets.train_on_batch(faces, labels, return_dict=True)
            progress.advance()
            point.append((float(metrics["loss"]), float(metrics["triplet_accuracy"])))
            if step % POINT == 0 or step == parameters.steps:
                loss, accuracy = (sum(values) / len(point) for values in zip(*point, strict=True))
                point.clear()
                history.steps.append(step)
                history.loss.append(loss)
                history.triplet_accuracy.append(accuracy)
                tf.summary.scalar("loss", loss, step=step)
                tf.summary.scalar("triplet_accuracy", accuracy, step=step)
            if step % parameters.checkpoint_every == 0 and step % POINT == 0 and step < parameters.steps:
                writer.flush()
                checkpoints.save(triplets, step, history)
    writer.close()
    if history.steps:
        event(
            "trained",
            f"trained {parameters.steps} steps: loss {history.loss[-1]:.3f}, "
            f"triplet accuracy of the last batches {history.triplet_accuracy[-1]:.3f}",
        )


class Checkpoints:
    """Where a training stands: weights, optimizer and curves, on this machine's disk and, for a remote root, there too.

    The state names the weights it belongs to and is renamed into place last, so it is never ahead of them.
    """

    def __init__(self, storage: Storage, directory: str, folder: Path) -> None:
        self._storage, self._directory, self._folder = storage, directory, folder
        self._remote = "://" in storage.root

    def save(self, triplets: Triplets, step: int, history: History) -> None:
        """Store where the training stands after ``step``."""
        weights = self._folder / f"{step}.weights.h5"
        triplets.save_weights(weights)
        state = json.dumps({"step": step, "history": asdict(history)}).encode()
        if self._remote:
            self._storage.write(f"{self._directory}/{weights.name}", weights.read_bytes())
            self._storage.write(f"{self._directory}/state.json", state)
        temporary = self._folder / "state.json.new"
        temporary.write_bytes(state)
        temporary.replace(self._folder / "state.json")
        for old in self._folder.glob("*.weights.h5"):
            if old != weights:
                old.unlink()

    def restore(self, triplets: Triplets) -> tuple[int, History]:
        """Load the last checkpoint if there is one; gives the steps already done, and their curves."""
        state_file = self._folder / "state.json"
        if self._remote and not state_file.exists():
            self._fetch()
        if not state_file.exists():
            return 0, History()
        state = json.loads(state_file.read_bytes())
        triplets.load_weights(self._folder / f"{state['step']}.weights.h5")
        event("resumed", f"training goes on after step {state['step']}", step=state["step"])
        return int(state["step"]), History(**state["history"])

    def forget(self) -> None:
        """Remove the remote checkpoint of a finished training."""
        if self._remote:
            for entry in list(self._storage.list(self._directory)):
                self._storage.delete(entry.path)

    def _fetch(self) -> None:
        try:
            state = self._storage.read(f"{self._directory}/state.json")
            name = f"{json.loads(state)['step']}.weights.h5"
            (self._folder / name).write_bytes(self._storage.read(f"{self._directory}/{name}"))
            (self._folder / "state.json").write_bytes(state)
        except FileNotFoundError:
            return


def _types(storage: Storage) -> list[int]:
    """The triplet types that occur in the train split."""
    funnel = json.loads(storage.read(f"{layout.collect_dir(TRAIN)}/funnel.json"))
    return [int(kind) for kind, count in sorted(funnel["types"].items()) if count]


def _put(
    storage: Storage, directory: str, folder: Path, history: History, parameters: Parameters, records: Records
) -> None:
    about = {
        "parameters": {name: value for name, value in asdict(parameters).items() if name != "root"},
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "triplets": records.triplets,
        "image_size": records.image_size,
    }
    for entry in list(storage.list(f"{directory}/logs")):
        storage.delete(entry.path)
    for log in sorted((folder / "logs").iterdir()):
        storage.write_file(f"{directory}/logs/{log.name}", log)
    storage.write(f"{directory}/history.json", (json.dumps(asdict(history), indent=1) + "\n").encode())
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
