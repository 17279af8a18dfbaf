"""``fec run``: the whole pipeline on this machine, through KFP's own local executor."""

from __future__ import annotations

import argparse
import json
import sys
import time

from fec import command
from pipelines import arguments
from pipelines.arguments import RunArguments

SUMMARY = "Run the whole pipeline on this machine, from the CSVs to the report; again, it goes on where it was."


def add_options(parser: argparse.ArgumentParser) -> None:
    command.add_options(parser, RunArguments)
    parser.add_argument(
        "--runner", choices=("subprocess",), default="subprocess", help="what runs a task (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")


def run(options: argparse.Namespace) -> int:
    return finish(command.parameters_from(RunArguments, options), as_json=options.json)


def finish(run_arguments: RunArguments, *, as_json: bool) -> int:
    """Check the arguments, run the pipeline and print its summary; the exit code."""
    from pipelines.execution import execute
    from pipelines.summary import read
    from pipelines.supervision import Stopped

    started = time.monotonic()
    arguments.check(run_arguments)
    try:
        report = execute(arguments.for_pipeline(run_arguments), sys.stderr)
    except Stopped as stopped:
        print(f"stopped by {stopped}; the same command goes on where it was", file=sys.stderr)
        return stopped.exit_code
    summary = read(run_arguments.root, report, seconds=time.monotonic() - started)
    print(json.dumps(summary.as_json()) if as_json else summary.as_text())
    return 0
