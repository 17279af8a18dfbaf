"""One training, from the records to a stored model, told in the order in which it happens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from components.train.parameters import AUTO, BACKBONES, BFLOAT16, FLOAT32, SHARED, Parameters

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from components.train.backbone_names import is_preset
from components.train.backend import versions
from components.train.checkpoints import Checkpoints, SpoiledCheckpoint, TrainingState
from components.train.choice import Chosen, choose
from components.train.devices import Devices, devices
from components.train.ending import before_the_first_step, together
from components.train.examples import Examples, read_examples
from components.train.fitting import Fitting, HeldOut, compiled
from components.train.held_out import Parts, divide, owners_of
from components.train.input_pipeline import Faces, batches, batches_of_shared_faces, over_devices
from components.train.models import Shape, Triplets, mirrored, network_of
from components.train.sampling import order
from components.train.storing import store_model
from components.train.weights import Weights
from fec import identity, layout, model_card
from fec.done import Done, write_done
from fec.history import History
from fec.layout import TRAIN
from fec.model_card import ModelCard
from fec.progress import event
from fec.record_files import RecordFiles
from fec.storage import Storage

MODEL: Final = "model.keras"
BEST: Final = "best.keras"


def train(
    storage: Storage,
    parameters: Parameters,
    records: RecordFiles,
    run: str,
    fingerprint: str,
    weights: Weights | None = None,
) -> None:
    """Train ``run`` and put it into ``models/<run>/``; see ``components.train.step.run``."""
    p = parameters
    tf.config.experimental.enable_op_determinism()
    on = devices(p)
    event("devices", f"training runs on {on}")
    directory = layout.model_dir(run)
    # What comes before the first step takes minutes for a large set.
    with together(on.hosts), before_the_first_step() as heed:
        examples = read_examples(storage, records, storage.workspace(directory), heed)
        parts = _parts(storage, p, examples)
        trained = examples.faces[parts.train]
        chosen = choose(p, len(trained), len(np.unique(trained)), records.image_size, accelerated=on.accelerated)
        event("chosen", _said(p, chosen, parts))
        shape = _shape(p, records, on, weights)
        # Choices depend on the devices: what was begun with others is not gone on with.
        begun = identity.fingerprint({"training": fingerprint, "chosen": asdict(chosen), "precision": shape.precision})
        workspace = _workspace(storage, f"{directory}/{begun[:16]}", on)
        folder = storage.workspace(workspace)
        checkpoints = Checkpoints(storage, f"{directory}/checkpoint", begun, folder, on.hosts)
        with on.scope():
            triplets, state = _restored(p, chosen, shape, checkpoints, weights)
        heed()
        faces = Faces(examples.jpegs, records.image_size)
        data = _fed(p, examples, faces, parts, chosen, state.step, on)
        heed()
        logs = folder / ("logs" if not on.hosts.number else f"logs-{on.hosts.number}")
        Fitting(triplets, state, checkpoints, p, chosen, _held_out(examples, parts), faces).fit(data, on, logs)
    if on.hosts.number:
        if not storage.local:
            storage.remove_workspace(workspace)
        event("trained", f"trained {state.step:,} steps; the chief of the {on.hosts.count} hosts stores the network")
        return
    digest = _stored(triplets, state.history, checkpoints, folder, p, shape)
    told = _about(p, records, chosen, on, parts, state.history, weights)
    told["dataset"] = model_card.dataset_of(storage, TRAIN)
    _put(storage, directory, folder, state.history, told)
    card = _card(storage, p, run, digest, records, len(examples.jpegs), state.history)
    storage.write(model_card.card_path(run), card.to_bytes())
    checkpoints.forget()
    counts = {"steps": state.step, "triplets": records.triplets, "parameters": triplets.network.count_params()}
    write_done(storage, directory, Done("train", fingerprint, digest, counts, {"image_size": records.image_size}))
    storage.remove_workspace(workspace)
    event("trained", _told(state, parts))
    if state.history.stands_still:
        event(
            "nothing_learned",
            "the network has learned nothing: of the last triplets all are short of their margin and "
            f"{state.history.triplet_accuracy[-1]:.3f} are right (chance 0.333), as where all faces lie on one point; "
            "try another --seed, another --learning-rate or more --steps",
            severity="WARNING",
        )


def _workspace(storage: Storage, chief_s: str, on: Devices) -> str:
    """What is not finished: hosts that share a folder go on from what the chief has there, others fetch it."""
    return chief_s if storage.local or not on.hosts.number else f"{chief_s}-{on.hosts.number}"


def _shape(p: Parameters, records: RecordFiles, on: Devices, weights: Weights | None) -> Shape:
    """What the network is made for; of a backbone that is a preset the name is the folder it was fetched to."""
    backbone = p.backbone or BACKBONES.get(p.model, "")
    if weights is not None and is_preset(backbone):
        backbone = str(weights.path)
    return Shape(records.image_size, p.embedding_size, on.synchronized, backbone, _precision(p, on))


def _held_out(examples: Examples, parts: Parts) -> HeldOut | None:
    rows = parts.held_out
    return HeldOut(examples.faces[rows], examples.labels[rows]) if len(rows) else None


def _fed(
    p: Parameters, examples: Examples, faces: Faces, parts: Parts, chosen: Chosen, first_step: int, on: Devices
) -> Any:
    """The batches to train on, from ``first_step`` on, spread over the devices."""
    drawn = order(examples.labels[parts.train, 1], chosen.steps, p.batch_size, p.balance_cap, p.seed)
    rows, rise = parts.train[drawn].astype(np.int32), chosen.augmentation_rise
    if p.batches == SHARED:
        per_batch = chosen.faces_per_batch
        return over_devices(
            lambda hosts: batches_of_shared_faces(
                examples, faces, rows, per_batch, chosen.augmentation, p.seed, first_step, hosts, rise=rise
            ),
            on,
            shared=True,
        )
    return over_devices(
        lambda hosts: batches(examples, faces, rows, chosen.augmentation, p.seed, first_step, hosts, rise=rise), on
    )


def _told(state: TrainingState, parts: Parts) -> str:
    history = state.history
    held = f", {max(history.held_out_accuracy):.3f} held out at best" if history.held_out_accuracy else ""
    return (
        f"trained {state.step:,} steps on {len(parts.train):,} triplets: loss {history.loss[-1]:.3f}, triplet "
        f"accuracy of the last batches {history.triplet_accuracy[-1]:.3f}{held} (chance 0.333)"
    )


def _precision(p: Parameters, on: Devices) -> str:
    """What the network computes in; on a CPU bfloat16 is slower than float32."""
    return p.precision if p.precision != AUTO else BFLOAT16 if on.bfloat16 else FLOAT32


def _parts(storage: Storage, p: Parameters, examples: Examples) -> Parts:
    """What is trained on, and what is held out."""
    owners = owners_of(storage, examples.face_ids)
    return divide(owners[examples.faces], p.held_out, p.seed)


def _said(p: Parameters, chosen: Chosen, parts: Parts) -> str:
    apart = (
        f"{len(parts.held_out):,} held out"
        if len(parts.held_out)
        else "none held out: too few share no face, photograph or account with the rest"
    )
    batches = (
        f"{p.batch_size} triplets that share {chosen.faces_per_batch} faces" if p.batches == SHARED else p.batch_size
    )
    rise = f" risen from light in {chosen.augmentation_rise} steps" if chosen.augmentation_rise else ""
    return (
        f"{chosen.why}: {chosen.steps:,} steps of {batches}, learning rate {chosen.learning_rate:g} after "
        f"{chosen.warmup_steps} steps of warm-up, augmentation {chosen.augmentation}{rise}, "
        f"{chosen.pixels / 1e6:,.0f} million pixels in all; {apart}"
    )


def _restored(
    p: Parameters, chosen: Chosen, shape: Shape, checkpoints: Checkpoints, weights: Weights | None
) -> tuple[Triplets, TrainingState]:
    """The model as it was when training was interrupted, or as it is at the start."""
    path = weights.path if weights is not None else None
    fine_tuning = chosen.fine_tunes and checkpoints.step() >= chosen.fine_tune_after
    triplets = compiled(p, chosen, shape, path, fine_tuning=fine_tuning)
    try:
        return triplets, checkpoints.restore(triplets)
    except SpoiledCheckpoint:
        return compiled(p, chosen, shape, path), TrainingState()


def _stored(
    triplets: Triplets, history: History, checkpoints: Checkpoints, folder: Path, p: Parameters, shape: Shape
) -> str:
    """Write the last network, and the best where accuracy was measured; the SHA-256 of the last in hex."""
    if p.ema:
        triplets.optimizer.finalize_variable_values(triplets.trainable_variables)
    # In a plain one, whatever the devices were.
    network = network_of(p.model, replace(shape, synchronized=False, precision=FLOAT32))
    network.set_weights(triplets.network.get_weights())
    # It shares the network's weights, whichever those are.
    stored = mirrored(network, shape.image_size) if p.mirrored else network
    digest = store_model(stored, folder / MODEL, shape.image_size)
    if history.best:
        network.load_weights(checkpoints.best)
        store_model(stored, folder / BEST, shape.image_size)
    return digest


def _about(
    p: Parameters,
    records: RecordFiles,
    chosen: Chosen,
    on: Devices,
    parts: Parts,
    history: History,
    weights: Weights | None,
) -> dict[str, Any]:
    """What ``train.json`` says."""
    return {
        "parameters": {name: value for name, value in asdict(p).items() if name != "root"},
        "chosen": {name: value for name, value in asdict(chosen).items() if name != "why"},
        "why": chosen.why,
        "ran_on": {**on.as_json(), "precision": _precision(p, on)},
        "versions": versions(p.backend),
        "triplets": records.triplets,
        "trained_on": len(parts.train),
        "held_out": len(parts.held_out),
        "backbone_weights": weights.sha256 if weights is not None else "",
        "best_step": history.best,
        "image_size": records.image_size,
    }


def _card(
    storage: Storage, p: Parameters, run: str, sha256: str, records: RecordFiles, faces: int, history: History
) -> ModelCard:
    """What ``model.json`` says of the model that was stored."""
    steps = model_card.preprocessing_of(storage, TRAIN, records.image_size, records.jpeg_quality)
    held_out = {"held_out": max(history.held_out_accuracy)} if history.held_out_accuracy else {}
    return ModelCard(
        run=run,
        network=p.model,
        sha256=sha256,
        dimension=p.embedding_size,
        preprocessing=steps,
        trained_on={**model_card.dataset_of(storage, TRAIN), "triplets": records.triplets, "faces": faces},
        accuracy=held_out,
        versions=versions(p.backend),
    )


def _put(storage: Storage, directory: str, folder: Path, history: History, about: dict[str, Any]) -> None:
    # A marker of other parameters must not outlive the model it was written for.
    storage.delete(f"{directory}/{layout.DONE}")
    for entry in list(storage.list(f"{directory}/logs")):
        storage.delete(entry.path)
    for log in sorted((folder / "logs").iterdir()):
        storage.write_file(f"{directory}/logs/{log.name}", log)
    storage.write(f"{directory}/history.json", history.to_bytes())
    storage.write(f"{directory}/train.json", (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())
    storage.delete(f"{directory}/{BEST}")
    for name in (MODEL, BEST) if history.best else (MODEL,):
        storage.write_file(f"{directory}/{name}", folder / name)
