"""Train an embedding on the records, and go on where a killed training stopped."""

from __future__ import annotations

from typing import Any, Final

from components.train.backbone_names import is_preset
from components.train.backend import need_keras_hub, take
from components.train.parameters import BACKBONES, IMAGE_SIZES, SHARED, Parameters
from components.train.weights import fetched, fetched_preset
from fec import identity, layout
from fec.done import finished
from fec.errors import ConfigurationError
from fec.layout import TRAIN
from fec.record_files import record_files_of_any_layout
from fec.storage import open_storage

__all__ = ["Parameters", "run"]

_OF_BACKBONES: Final = (
    "backbone",
    "backbone_weights",
    "freeze_until",
    "fine_tune_steps",
    "fine_tune_rate",
    "fine_tune_from",
)


def run(parameters: Parameters) -> str:
    """Train, unless this very training is done; returns the run's name.

    Raises ConfigurationError for values that make no sense, for records or weights that the network cannot
    take, or without TensorFlow, and RunFailed if a record
    file is missing or spoiled (a model is never trained on half of the data unawares) or the loss overflows.
    """
    p = parameters
    storage = open_storage(p.root)
    records = record_files_of_any_layout(storage, TRAIN)
    _check_network(p, records.image_size)
    _check_batches(p)
    with fetched_preset(p.backbone) if is_preset(p.backbone) else fetched(p.backbone_weights) as weights:
        inputs: dict[str, Any] = {"records": list(records.digests), **p.settings}
        if is_preset(p.backbone):
            # What is in it counts, not where it lies.
            inputs["backbone"] = "preset"
        if weights is not None:
            inputs["backbone_weights"] = weights.sha256
        fingerprint = identity.fingerprint(inputs)
        name = p.run or f"{p.model}-{fingerprint[:8]}"
        if finished(storage, layout.model_dir(name), fingerprint) is None:
            take(p.backend)
            if is_preset(p.backbone):
                need_keras_hub()
            from components.train.work import train

            train(storage, p, records, name, fingerprint, weights)
    return name


def _check_network(p: Parameters, image_size: int) -> None:
    """Raises ConfigurationError for a network that cannot take what it is asked to."""
    wanted = p.image_size or IMAGE_SIZES.get(p.model, image_size)
    if wanted != image_size:
        raise ConfigurationError(
            f"model {p.model} is to see faces of {wanted} pixels, and the records hold {image_size}: run datagen with "
            f"--image-size {wanted} (fec run --image-size {wanted}), or train with --image-size {image_size}"
        )
    asked = [name for name in _OF_BACKBONES if getattr(p, name)]
    if asked and p.model not in BACKBONES:
        option = asked[0].replace("_", "-")
        raise ConfigurationError(f"--{option}: model {p.model} has no backbone; {', '.join(BACKBONES)} has")
    if p.backbone_weights and is_preset(p.backbone):
        raise ConfigurationError(
            "--backbone-weights: the preset that --backbone names has its own weights; leave them out"
        )
    _check_fine_tuning(p)


def _check_fine_tuning(p: Parameters) -> None:
    if p.fine_tune_steps and not p.freeze_until:
        raise ConfigurationError(
            f"--fine-tune-steps {p.fine_tune_steps}: nothing is frozen before them; name a layer, or all, by "
            "--freeze-until"
        )
    if (p.fine_tune_rate or p.fine_tune_from) and not p.fine_tune_steps:
        option = "fine-tune-rate" if p.fine_tune_rate else "fine-tune-from"
        raise ConfigurationError(f"--{option}: there is no fine-tuning; say how long by --fine-tune-steps")


def _check_batches(p: Parameters) -> None:
    """Raises ConfigurationError for a number of faces that no batch could have."""
    if not p.faces_per_batch:
        return
    if p.batches != SHARED:
        raise ConfigurationError(
            f"--faces-per-batch {p.faces_per_batch}: that is of --batches {SHARED}, which is not asked for"
        )
    if not 3 <= p.faces_per_batch <= 3 * p.batch_size:
        raise ConfigurationError(
            f"--faces-per-batch {p.faces_per_batch}: {p.batch_size} triplets have between 3 and "
            f"{3 * p.batch_size} faces"
        )
