"""Train an embedding on the records, and go on where a killed training stopped."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from fec import identity, layout
from fec.command import parameter
from fec.done import finished, read_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import TRAIN
from fec.storage import Storage, open_storage

# Known here so that a wrong name is refused before TensorFlow is imported; a test holds it against models.py.
MODELS = ("tiny",)


@dataclass(frozen=True)
class Parameters:
    """What a model depends on, beside its records."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    model: str = parameter(help=f"the network: {', '.join(MODELS)}", default="tiny")
    steps: int = parameter(help="batches to train on", default=200)
    batch_size: int = parameter(help="triplets in a batch", default=30)
    learning_rate: float = parameter(help="at the start; it falls to zero along a cosine", default=1e-3)
    seed: int = parameter(help="of the weights, the batches and the augmentation", default=0)
    run: str = parameter(help="name of the run's folders; by default the model and a fingerprint", default="")
    checkpoint_every: int = parameter(help="steps between checkpoints", default=50)


@dataclass(frozen=True)
class Records:
    """The record files of the train split, as their markers describe them."""

    files: tuple[str, ...]
    digests: tuple[str, ...]
    image_size: int
    triplets: int


def run(parameters: Parameters) -> str:
    """Train, unless this very training is done; returns the run's name.

    Raises ConfigurationError for values that make no sense or without TensorFlow, and RunFailed if a record
    file is missing: a model is never trained on half of the data unawares.
    """
    _check(parameters)
    storage = open_storage(parameters.root)
    records = train_records(storage)
    fingerprint = identity.fingerprint({"step": "train", "records": sorted(records.digests), **_settings(parameters)})
    name = parameters.run or f"{parameters.model}-{fingerprint[:8]}"
    if finished(storage, layout.model_dir(name), fingerprint) is None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ConfigurationError("TensorFlow is not installed: pip install 'fec[train]'")
        from components.train.training import train

        train(storage, parameters, records, name, fingerprint)
    return name


def train_records(storage: Storage) -> Records:
    """All record files of the train split; RunFailed, naming them, if some are missing."""
    collected = read_done(storage, layout.collect_dir(TRAIN))
    if collected is None:
        raise RunFailed(f"{storage.root} has no collected triplets of train: run the collect step first")
    count = collected.counts["record_shards"]
    files = [layout.record_file(TRAIN, number, count) for number in range(count)]
    markers = [read_done(storage, layout.record_done_dir(TRAIN, number, count)) for number in range(count)]
    missing = [file for file, done in zip(files, markers, strict=True) if done is None or storage.size(file) is None]
    if missing:
        raise RunFailed(
            f"{len(missing)} of {count} record files are missing ({', '.join(missing[:3])}): run the datagen step first"
        )
    found = [done for done in markers if done is not None]
    sizes = {int(done.details["image_size"]) for done in found}
    if len(sizes) > 1:
        raise RunFailed(f"the record files hold faces of {sorted(sizes)} pixels: run the datagen step for all of them")
    return Records(
        tuple(files), tuple(done.digest for done in found), sizes.pop(), sum(done.counts["triplets"] for done in found)
    )


def _settings(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in ("model", "steps", "batch_size", "learning_rate", "seed")}


def _check(parameters: Parameters) -> None:
    if parameters.model not in MODELS:
        raise ConfigurationError(f"model {parameters.model!r}: expected one of {', '.join(MODELS)}")
    for name in ("steps", "batch_size", "learning_rate", "checkpoint_every"):
        if getattr(parameters, name) <= 0:
            raise ConfigurationError(f"{name} {getattr(parameters, name)}: expected more than 0")
    if parameters.run and ("/" in parameters.run or parameters.run.startswith(".")):
        raise ConfigurationError(f"run {parameters.run!r}: expected the name of a folder")
