"""Runs the pipeline in a process of its own and tells what became of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from fec.errors import ConfigurationError, FecError, RunFailed
from pipelines.local import process as local
from pipelines.local.containers import Containers, remove_leftovers
from pipelines.local.display import Display, event_in, failed_task_in
from pipelines.local.run_folder import RunFolder, run_folder
from pipelines.local.supervision import Supervised, supervised


def execute(arguments: Mapping[str, Any], stream: TextIO, containers: Containers | None = None) -> str:
    """Run the pipeline with ``arguments`` to its end, showing on ``stream`` how far it is; the report's path.

    Its tasks run as processes, or in ``containers`` if some are given.

    Raises ConfigurationError or RunFailed with the failed step's own words, Stopped if a signal asked for the
    end. Whatever is raised, no process is left running, and the same call goes on where this one was.
    """
    with run_folder(arguments["root"]) as folder:
        (folder.path / local.ARGUMENTS).write_text(json.dumps(arguments))
        try:
            with _cleaned(folder, containers):
                _run(folder, stream)
        except FecError as error:
            raise type(error)(f"{error} (log: {folder.log})") from None
        return str(json.loads((folder.path / local.OUTPUTS).read_text())["Output"])


@contextmanager
def _cleaned(folder: RunFolder, containers: Containers | None) -> Iterator[None]:
    """With containers: without those an earlier run left, and leaving none. Killing a run's processes does not."""
    if containers is None:
        yield
        return
    containers.save(folder.path)
    remove_leftovers(folder.path)
    try:
        yield
    finally:
        remove_leftovers(folder.path)


@dataclass
class _Failures:
    """What went wrong so far, in the order in which it was said."""

    errors: list[FecError] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    last_line: str = ""

    def note(self, line: str, event: Mapping[str, Any] | None) -> None:
        if event is not None and event.get("event") == "error":
            kind = ConfigurationError if event.get("exit_code") == ConfigurationError.exit_code else RunFailed
            self.errors.append(kind(event["message"]))
        elif (task := failed_task_in(line)) is not None:
            self.tasks.append(task)
        elif not self.tasks and line.strip():
            self.last_line = line.strip()

    @property
    def hopeless(self) -> bool:
        """Whether there is no point in letting the other tasks go on."""
        return any(isinstance(error, ConfigurationError) for error in self.errors)

    def error(self, exit_code: int) -> FecError:
        """The one error to report of a run that ended with ``exit_code``."""
        if self.errors:
            return next((error for error in self.errors if isinstance(error, ConfigurationError)), self.errors[0])
        if self.tasks:
            return RunFailed(f"step {self.tasks[0]} failed: {self.last_line}")
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        return RunFailed(f"the pipeline's process {how}: {self.last_line}")


def _run(folder: RunFolder, stream: TextIO) -> None:
    command = [sys.executable, "-m", local.__name__, str(folder.path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder.temporary)}
    display = Display(stream, live=stream.isatty())
    failures = _Failures()
    with open(folder.log, "w") as log, supervised(command, environment, inherited=[folder.lock]) as process:
        try:
            _watch(process, log, display, failures)
        finally:
            display.close()
        exit_code = 1 if failures.hopeless else process.wait()
    if exit_code:
        raise failures.error(exit_code)


def _watch(process: Supervised, log: TextIO, display: Display, failures: _Failures) -> None:
    """Follow the process until it has ended, or until its end cannot be anything but a failure."""
    for line in process.lines():
        print(line, file=log)
        event = event_in(line)
        if event is not None:
            display.show(event)
        failures.note(line, event)
        if failures.hopeless:
            return
