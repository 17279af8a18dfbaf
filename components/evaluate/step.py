"""Measure a trained model on the eval split, and tell the whole run on one page."""

from __future__ import annotations

import importlib.util

from components.evaluate.parameters import ALL, Parameters
from fec import identity, layout
from fec.done import Done, finished, read_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import EVAL, SPLITS, TRAIN
from fec.progress import event
from fec.record_files import RecordFiles, record_files_of_any_layout
from fec.storage import Storage, open_storage

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Write ``reports/<run>/``, unless it is there; returns the path of ``report.html``.

    Raises ConfigurationError for a run that does not exist or without TensorFlow, and RunFailed if a record
    file of the eval split is missing or spoiled, or holds faces of another size than the model takes.
    """
    storage = open_storage(parameters.root)
    trained = read_done(storage, layout.model_dir(parameters.run))
    if trained is None:
        raise ConfigurationError(f"run {parameters.run!r}: {storage.root} has no finished training of that name")
    records = record_files_of_any_layout(storage, EVAL)
    if records.image_size != (wanted := trained.details["image_size"]):
        raise RunFailed(
            f"the records of eval hold faces of {records.image_size} pixels, but run {parameters.run!r} was trained on "
            f"faces of {wanted}: run the datagen step of eval with that image size"
        )
    collected = {split: _collected(storage, split) for split in SPLITS}
    train = _train_records(storage, wanted) if parameters.embed == ALL else None
    fingerprint = identity.fingerprint(
        {
            **parameters.settings,
            "model": trained.digest,
            "training": trained.fingerprint,
            "records": list(records.digests),
            "collected": {split: done.digest for split, done in collected.items()},
            "funnels": {split: done.details.get("funnel_sha256") for split, done in collected.items()},
            "train_records": list(train.digests) if train is not None else [],
        }
    )
    directory = layout.report_dir(parameters.run)
    if finished(storage, directory, fingerprint) is None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ConfigurationError("TensorFlow is not installed: pip install 'fec[train]'")
        from components.evaluate.work import evaluate

        evaluate(storage, parameters, records, train, fingerprint)
    return f"{storage.root}/{directory}/report.html"


def _train_records(storage: Storage, image_size: int) -> RecordFiles | None:
    """The records of train, if they are all there and as the model takes them: a model may outlive them."""
    try:
        train = record_files_of_any_layout(storage, TRAIN)
    except RunFailed as error:
        event("left_out", f"embeddings of eval's faces alone are stored: {error}", severity="WARNING")
        return None
    return train if train.image_size == image_size else None


def _collected(storage: Storage, split: str) -> Done:
    done = read_done(storage, layout.collect_dir(split))
    if done is None:
        raise RunFailed(f"{storage.root} has no collected triplets of {split}: run the collect step first")
    return done
