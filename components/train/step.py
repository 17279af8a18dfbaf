"""Train an embedding on the records, and go on where a killed training stopped."""

from __future__ import annotations

import importlib.util

from components.train.parameters import Parameters
from fec import identity, layout
from fec.done import finished
from fec.errors import ConfigurationError
from fec.layout import TRAIN
from fec.record_files import record_files
from fec.storage import open_storage

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Train, unless this very training is done; returns the run's name.

    Raises ConfigurationError for values that make no sense or without TensorFlow, and RunFailed if a record
    file is missing or spoiled (a model is never trained on half of the data unawares) or the loss overflows.
    """
    storage = open_storage(parameters.root)
    records = record_files(storage, TRAIN)
    fingerprint = identity.fingerprint({"records": list(records.digests), **parameters.settings})
    name = parameters.run or f"{parameters.model}-{fingerprint[:8]}"
    if finished(storage, layout.model_dir(name), fingerprint) is None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ConfigurationError("TensorFlow is not installed: pip install 'fec[train]'")
        from components.train.work import train

        train(storage, parameters, records, name, fingerprint)
    return name
