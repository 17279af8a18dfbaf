"""One small shard through every step and one step of training: what is run before a long job.

Each step is a process of its own, started as from a shell with the options of the long job, so that a step that fails
is named, and the time of each is known.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO

from components.form import RunParameters
from components.options import checked
from fec import layout
from fec.done import read_done
from fec.layout import EVAL, SPLITS, TRAIN
from fec.parameters import promoted
from fec.storage import open_storage
from pipelines.local.child import run_child
from pipelines.local.display import Display
from pipelines.t2t import interpreter

# Triplets of a split that a trial takes at the most: three images each, so a few hundred in all.
MAX_TRIPLETS: Final = 60
# So many shards make that of FEC's own lists, which are then read once; other lists are read again.
NUM_SHARDS: Final = {TRAIN: 7500, EVAL: 850}
# What a step makes anew; originals are kept, for nothing is fetched twice.
MADE_ANEW: Final = ("plan", *SPLITS, "collect", "records", "models", "reports", "runs")
GROUP: Final = "0/1"


class Trial:
    """The steps of a trial at ``arguments.root``, a line on ``report`` for each that has ended."""

    def __init__(self, arguments: RunParameters, report: TextIO) -> None:
        self._report = report
        self._display = Display(sys.stderr)
        self._storage = open_storage(arguments.root)
        self._values: dict[str, Any] = dataclasses.asdict(arguments) | {
            "group": GROUP,
            "max_shards": 1,
            "max_groups": 1,
            "steps": 1,
            "train_steps": 1,
        }
        self._options = checked(arguments.options)
        self._csvs = {TRAIN: arguments.train_csv, EVAL: arguments.eval_csv}

    def clear(self, *also: str) -> None:
        """Remove what an earlier trial made, but for the originals it fetched, and the folders ``also``."""
        for directory in (*MADE_ANEW, *also):
            for entry in list(self._storage.list(directory)):
                self._storage.delete(entry.path)

    def run(self) -> None:
        """Every step of the pipeline; raises what the first that failed said."""
        for split in SPLITS:
            self._verified(split)
            self._step("collect", split)
            self._step("datagen", split)
        trained = self._step("train")
        self._step("evaluate", run=trained)
        self._step("summarize", state="SUCCEEDED")

    def run_t2t(self, python: Path) -> None:
        """The same, with the records made and trained on by the real Tensor2Tensor, which ``python`` has."""
        for split in SPLITS:
            self._verified(split)
            self._step("collect", split)
        for name, module in (("t2t-datagen", "datagen_step"), ("t2t-trainer", "training_step")):
            with self._reported(name):
                self._call(name, f"pipelines.t2t.{module}", {}, python)
        self._step("summarize", state="SUCCEEDED")

    def _verified(self, split: str) -> None:
        """From the annotations to verified crops."""
        with self._reported(f"plan of {split}"):
            self._plan(split, NUM_SHARDS[split])
            planned = read_done(self._storage, layout.plan_dir(split))
            assert planned is not None
            whole = planned.counts["rows"] - planned.counts["malformed"]
            if not min(whole, MAX_TRIPLETS // 2) <= planned.counts["triplets"] <= MAX_TRIPLETS:
                self._plan(split, max(1, -(-whole // MAX_TRIPLETS)))
        self._step("download", split)
        self._step("faces", split)

    def _plan(self, split: str, num_shards: int) -> None:
        values = {"split": split, "annotations": self._csvs[split], "num_shards": num_shards}
        self._call(f"plan of {split}", "components.plan", values)

    def _step(self, step: str, split: str = "", **values: Any) -> Any:
        """Run a step of the pipeline and report on it; what it gives."""
        name = f"{step} of {split}" if split else step
        with self._reported(name):
            return self._call(name, f"components.{step}", {"split": split, **values})

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        """Report how what the body does went."""
        started, how = time.monotonic(), "failed"
        try:
            yield
            how = "ok"
        finally:
            self._display.close()
            print(f"{name:<20}{how:<8}{time.monotonic() - started:6.1f} s", file=self._report, flush=True)

    def _call(self, name: str, module: str, values: Mapping[str, Any], t2t: Path | None = None) -> Any:
        """Run the step of ``module``; what it gives."""
        parameters = import_module(f"{module}.step" if t2t is None else module).Parameters
        # Nothing is imported from the folder one happens to stand in.
        own = os.environ | {"PYTHONSAFEPATH": "1"}
        python, environment = (sys.executable, own) if t2t is None else (str(t2t), interpreter.environment())
        if t2t is None:
            asked = {name: self._values[name] for name in promoted(parameters) if name in self._values}
            values = {**self._options.get(parameters.step, {}), **asked, **values}
        else:
            values = {**self._values, **values}
        command = [python, "-m", module, *options_of(parameters, values)]
        given: list[Any] = []

        def printed(line: str) -> None:
            if line.startswith(('"', "[")):
                with suppress(ValueError):
                    given.append(json.loads(line))

        run_child(name, command, environment, printed, self._display.show)
        return given[-1]


def options_of(parameters: type[Any], values: Mapping[str, Any]) -> list[str]:
    """The options that give a step ``values``, as far as its ``parameters`` have them."""
    options = []
    for field in dataclasses.fields(parameters):
        if field.name not in values:
            continue
        flag, value = "--" + field.name.replace("_", "-"), values[field.name]
        if isinstance(value, bool):
            options.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple | list):
            options += [f"{flag}={item}" for item in value]
        else:
            options.append(f"{flag}={value}")
    return options
