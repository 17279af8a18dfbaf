"""``fec status``: how far a run on a cluster is, from what lies below its root."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from fec import command
from pipelines.kubeflow.endpoint import Access

SUMMARY = "How far a run on a cluster is, read from its root: done, at work, left, how fast, and who was heard of last."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root",
        metavar="ROOT|RUN",
        help="storage root of the run (a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX), or the run's URL or id, as "
        "fec submit printed it",
    )
    # Not "run": that is what the command line calls.
    parser.add_argument(
        "--run",
        dest="run_name",
        default="",
        metavar="RUN",
        help="the engine's name of the run, such as fec-x7k2p (default: the last)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead")
    command.add_options(parser.add_argument_group("Kubeflow Pipelines, to be asked of a run's URL or id"), Access)


def run(options: argparse.Namespace) -> int:
    from components.summarize.work import split_statuses
    from fec.storage import open_storage
    from pipelines.kubeflow.find import find_run, is_run
    from pipelines.status import text
    from pipelines.status.run_status import run_status

    now, root, run_name = datetime.now(UTC), options.root, options.run_name
    if is_run(root):
        found = find_run(root, command.parameters_from(Access, options))
        root, run_name = found.root, found.workflow
    storage = open_storage(root, read_only=True)
    status, splits = run_status(storage, run_name, now), split_statuses(storage)
    print(json.dumps(text.as_json(status, splits)) if options.json else text.as_text(status, splits, now))
    return 0
