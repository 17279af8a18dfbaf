"""What can be known to be wrong with a run's annotations and root before anything is started."""

from __future__ import annotations

import contextlib
import io
from itertools import islice
from typing import Final

from components.form import RunParameters
from fec.annotations import Tally, Triplet, read_rows, trusted
from fec.annotations_source import is_remote, opened
from fec.layout import EVAL, TRAIN
from fec.storage import open_storage

# A CSV whose first rows are all malformed is something else.
FIRST_ROWS: Final = 10


def check(parameters: RunParameters) -> None:
    """Raise ConfigurationError for annotations that are none and a root that cannot be used."""
    for split, source in ((TRAIN, parameters.train_csv), (EVAL, parameters.eval_csv)):
        if not is_remote(source):
            _check_csv(source, split)
    open_storage(parameters.root)


def _check_csv(source: str, split: str) -> None:
    with opened(source, split) as file:
        rows = list(islice(read_rows(file), FIRST_ROWS))
    if not any(isinstance(row, Triplet) for row in rows):
        with contextlib.redirect_stderr(io.StringIO()):  # the error says it all
            list(trusted(rows, source, max_malformed=0, tally=Tally()))
