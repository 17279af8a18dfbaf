"""What can be known to be wrong with a run's annotations and root before anything is started."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from itertools import islice
from typing import Final

from components.form import RunParameters
from fec import annotations_source, identity, layout
from fec.annotation_trust import Tally, trusted
from fec.annotations import Triplet, read_rows
from fec.annotations_source import is_remote, opened
from fec.errors import ConfigurationError
from fec.layout import EVAL, TRAIN
from fec.storage import open_storage

# A CSV whose first rows are all malformed is something else.
FIRST_ROWS: Final = 10


def check(parameters: RunParameters) -> None:
    """Raise ConfigurationError for annotations that are none and a root that cannot be used."""
    for split, source in ((TRAIN, parameters.train_csv), (EVAL, parameters.eval_csv)):
        if not is_remote(source):
            check_csv(source, split)
    open_storage(parameters.root)


def require_tensorflow() -> None:
    """Raise ConfigurationError where this Python cannot train."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ConfigurationError(
            "TensorFlow, which training needs, is not installed: pip install 'fec[train]', or ask for --until records"
        )


def refuse_another_dataset(parameters: RunParameters) -> None:
    """Raise ConfigurationError where the root holds the dataset of another list than the one that is asked for."""
    storage = open_storage(parameters.root)
    for split, source in ((TRAIN, parameters.train_csv), (EVAL, parameters.eval_csv)):
        try:
            about = json.loads(storage.read(f"{layout.plan_dir(split)}/plan.json"))
            settings = dict(about["parameters"])
            planned_from, fingerprint = settings.pop("annotations"), about["fingerprint"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue  # nothing there, or nothing that the plan step would take for its own
        asked = identity.fingerprint({"annotations": annotations_source.identity(source)} | settings)
        if asked != fingerprint:
            raise ConfigurationError(
                f"{storage.root} holds the {split} data of another list ({planned_from}, not "
                f"{annotations_source.shown(source)} as it is now); give another --root, or --replace to work on this "
                "list there, which keeps the pictures that were fetched"
            )


def check_csv(source: str, split: str) -> None:
    """Raise ConfigurationError for a file whose first rows are none of FEC's, or which cannot be read."""
    with opened(source, split) as file:
        rows = list(islice(read_rows(file), FIRST_ROWS))
    if not any(isinstance(row, Triplet) for row in rows):
        with contextlib.redirect_stderr(io.StringIO()):  # the error says it all
            list(trusted(rows, source, max_malformed=0, tally=Tally()))
