"""``fec dev``: one small shard through every step and one step of training, before a long job."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from components.form import RunParameters
from fec import command
from fec.errors import ConfigurationError
from fec.parameters import like
from fec.storage import normalized_root
from pipelines.local import arguments

SUMMARY = "Try every step on one small shard and train one step, in under a minute: to be run before a long job."

# Below the root of the long job, of which nothing else is touched.
FOLDER = "dev"


@dataclass(frozen=True)
class DevParameters(RunParameters):
    """The arguments of the long job; shards, groups and training steps are those of the trial all the same."""

    train_csv: str = like(
        RunParameters, "train_csv", help="as for fec run; without both, photographs from this machine", default=""
    )
    eval_csv: str = like(RunParameters, "eval_csv", help="as for fec run", default="")
    root: str = like(
        RunParameters,
        "root",
        help="that of the long job, tried in ROOT/dev; without it, a folder that goes",
        default="",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    command.add_options(parser, DevParameters)
    parser.add_argument("--t2t", action="store_true", help="make records and train with the real Tensor2Tensor")
    parser.add_argument(
        "--t2t-python", default="", metavar="PATH", help="Python that has it (default: FEC_T2T_PYTHON, .venv-t2t)"
    )


def run(options: argparse.Namespace) -> int:
    from pipelines.local.supervision import Stopped
    from pipelines.local.trial import Trial
    from pipelines.t2t import interpreter

    given = command.parameters_from(DevParameters, options)
    if bool(given.train_csv) != bool(given.eval_csv):
        raise ConfigurationError(
            "--train-csv and --eval-csv: expected both, or neither to try on the demo's photographs"
        )
    python = interpreter.find(options.t2t_python) if options.t2t else None
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            trial = Trial(_prepared(given, stack), sys.stdout)
            # The demo's server has another port each time: what came from an earlier one is of no use.
            trial.clear(*(() if given.train_csv else ("images",)))
            if python is None:
                trial.run()
            else:
                trial.run_t2t(python)
    except Stopped as stopped:
        print(f"stopped by {stopped}", file=sys.stderr)
        return stopped.exit_code
    print(f"{'all steps':<20}{'ok':<8}{time.monotonic() - started:6.1f} s")
    return 0


def _prepared(given: DevParameters, stack: contextlib.ExitStack) -> RunParameters:
    """The arguments of the trial, with the demo's server running where no annotations were given."""
    if given.root:
        root = f"{normalized_root(given.root)}/{FOLDER}"
    else:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="fec-dev-"))
    tried = dataclasses.replace(given, root=root)
    if not given.train_csv:
        tried = _on_the_demo(tried, stack)
    arguments.check(tried)
    return tried


def _on_the_demo(given: DevParameters, stack: contextlib.ExitStack) -> DevParameters:
    from fec.layout import EVAL, TRAIN
    from pipelines.commands.demo import LOOPBACK, REQUESTS_PER_SECOND
    from pipelines.demo.scenario import scenario
    from pipelines.demo.site import serve
    from pipelines.local.trial import MAX_TRIPLETS

    site = stack.enter_context(serve(scenario(portraits=30, train_triplets=MAX_TRIPLETS, eval_triplets=MAX_TRIPLETS)))
    csvs = site.write_csvs(Path(stack.enter_context(tempfile.TemporaryDirectory())))
    return dataclasses.replace(
        given,
        train_csv=str(csvs[TRAIN]),
        eval_csv=str(csvs[EVAL]),
        allow_network=(*given.allow_network, LOOPBACK),
        requests_per_second=max(given.requests_per_second, REQUESTS_PER_SECOND),
    )
