"""Train an embedding on the records, and go on where a killed training stopped."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass
from typing import Any

from fec import identity, layout
from fec.command import parameter
from fec.done import finished
from fec.errors import ConfigurationError
from fec.layout import TRAIN
from fec.record_files import record_files
from fec.storage import open_storage

# Known here so that a wrong name is refused before TensorFlow is imported; a test holds it against models.py.
MODELS = ("tiny",)
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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


def run(parameters: Parameters) -> str:
    """Train, unless this very training is done; returns the run's name.

    Raises ConfigurationError for values that make no sense or without TensorFlow, and RunFailed if a record
    file is missing or spoiled (a model is never trained on half of the data unawares) or the loss overflows.
    """
    _check(parameters)
    storage = open_storage(parameters.root)
    records = record_files(storage, TRAIN)
    fingerprint = identity.fingerprint({"step": "train", "records": list(records.digests), **_settings(parameters)})
    name = parameters.run or f"{parameters.model}-{fingerprint[:8]}"
    if finished(storage, layout.model_dir(name), fingerprint) is None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ConfigurationError("TensorFlow is not installed: pip install 'fec[train]'")
        from components.train.training import train

        train(storage, parameters, records, name, fingerprint)
    return name


def _settings(parameters: Parameters) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in ("model", "steps", "batch_size", "learning_rate", "seed")}


def _check(parameters: Parameters) -> None:
    if parameters.model not in MODELS:
        raise ConfigurationError(f"model {parameters.model!r}: expected one of {', '.join(MODELS)}")
    for name in ("steps", "batch_size", "learning_rate", "checkpoint_every"):
        value = getattr(parameters, name)
        if not (value > 0 and math.isfinite(value)):
            raise ConfigurationError(f"{name} {value}: expected more than 0")
    if not -(2**63) <= parameters.seed < 2**63:
        raise ConfigurationError(f"seed {parameters.seed}: expected a number of 64 bits")
    if parameters.run and not _RUN.fullmatch(parameters.run):
        raise ConfigurationError(
            f"run {parameters.run!r}: expected the name of a folder, of letters, digits, '.', '_' and '-'"
        )
