"""What ``fec run`` can be asked for, and what can be known to be wrong before anything is started."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import ipaddress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from components.faces.parameters import DETECTORS
from components.train.parameters import MODELS
from fec.annotations import Tally, Triplet, read_rows, trusted
from fec.annotations_source import is_remote, opened
from fec.errors import ConfigurationError
from fec.layout import EVAL, TRAIN
from fec.parameters import parameter
from fec.storage import open_storage

# A CSV whose first rows are all malformed is something else.
FIRST_ROWS = 10


@dataclass(frozen=True)
class RunArguments:
    """The pipeline's parameters, with the defaults of a run on one machine."""

    train_csv: str = parameter(help="path or URL of the train annotations: the CSV, or FEC_dataset.zip")
    eval_csv: str = parameter(help="path or URL of the eval annotations: the CSV, or FEC_dataset.zip")
    root: str = parameter(help="where everything is kept: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    num_train_shards: int = parameter(help="shards the train images are spread over", default=8)
    num_eval_shards: int = parameter(help="shards the eval images are spread over", default=2)
    max_shards: int = parameter(help="a trial: only as much of each split as fills N shards; 0: all", default=0)
    max_groups: int = parameter(help="tasks a loop over shards is cut into; each works in parallel itself", default=1)
    allow_network: tuple[str, ...] = parameter(
        help="addresses beside the public ones that images may come from, such as 127.0.0.0/8", default=()
    )
    requests_per_second: float = parameter(help="requests a second to one host, over the whole run", default=20.0)
    retry_transient_after: float = parameter(
        help="seconds after which a later run tries passing failures (time-outs, 5xx) again", default=3600.0
    )
    detector: str = parameter(help=f"face detector: {' or '.join(DETECTORS)}", default="yunet")
    min_confidence: float = parameter(help="confidence, 0 to 1, from which a face counts as verified", default=0.7)
    faced_weights: str = parameter(help="folder with the weights of faced, for --detector faced only", default="")
    image_size: int = parameter(help="pixels a side of the images in the records", default=64)
    model: str = parameter(help=f"model to train: {', '.join(MODELS)}", default="tiny")
    train_steps: int = parameter(help="training steps", default=200)
    seed: int = parameter(help="seed of the records' order and of training", default=0)


def for_pipeline(arguments: RunArguments) -> dict[str, Any]:
    """The arguments by the names of the pipeline's inputs, as JSON can carry them."""
    return dataclasses.asdict(arguments) | {"allow_network": list(arguments.allow_network)}


def check(arguments: RunArguments) -> None:
    """Raise ConfigurationError for what can be known to be wrong without starting anything."""
    a = arguments
    for ok, name, expected in (
        (a.num_train_shards >= 1, "num_train_shards", "1 or more"),
        (a.num_eval_shards >= 1, "num_eval_shards", "1 or more"),
        (a.max_shards >= 0, "max_shards", "0 (all) or more"),
        (a.max_groups >= 1, "max_groups", "1 or more"),
        (a.requests_per_second > 0, "requests_per_second", "more than 0"),
        (a.retry_transient_after >= 0, "retry_transient_after", "0 or more"),
        (a.detector in DETECTORS, "detector", f"one of {', '.join(DETECTORS)}"),
        (0 <= a.min_confidence <= 1, "min_confidence", "0 to 1"),
        (8 <= a.image_size <= 1024, "image_size", "8 to 1024 pixels"),
        (a.model in MODELS, "model", f"one of {', '.join(MODELS)}"),
        (a.train_steps >= 1, "train_steps", "1 or more"),
    ):
        if not ok:
            option = "--" + name.replace("_", "-")
            raise ConfigurationError(f"{option} {getattr(a, name)}: expected {expected}")
    for network in a.allow_network:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigurationError(f"--allow-network {network}: {error}; expected a CIDR, 127.0.0.0/8 say") from None
    for split, source in ((TRAIN, a.train_csv), (EVAL, a.eval_csv)):
        if not is_remote(source):
            _check_csv(source, split)
    open_storage(a.root)


def _check_csv(source: str, split: str) -> None:
    with opened(source, split) as file:
        rows = list(islice(read_rows(file), FIRST_ROWS))
    if not any(isinstance(row, Triplet) for row in rows):
        with contextlib.redirect_stderr(io.StringIO()):  # the error says it all
            list(trusted(rows, source, max_malformed=0, tally=Tally()))
