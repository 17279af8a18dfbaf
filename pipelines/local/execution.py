"""Runs the pipeline in a process of its own and tells what became of it."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from fec.errors import ConfigurationError, FecError, RunFailed
from pipelines.graph import stages
from pipelines.local import process as local
from pipelines.local.channel import Channel, Event, error_of
from pipelines.local.containers import Containers, remove_leftovers
from pipelines.local.display import Display
from pipelines.local.run_folder import RunFolder, run_folder
from pipelines.local.supervision import Supervised, supervised

CHANNEL: Final = "events"


def execute(
    arguments: Mapping[str, Any],
    stream: TextIO,
    containers: Containers | None = None,
    until: str = stages.MODEL,
    ahead: bool = False,
) -> str:
    """Run the pipeline with ``arguments`` up to the stage ``until``, showing on ``stream`` how far it is.

    Gives the report's path, or "" where the stage comes before it. Its tasks run as processes, or in ``containers`` if
    some are given. ``ahead``: faces are verified beside its downloads (``pipelines.local.ahead``).

    Raises ConfigurationError or RunFailed with the failed step's own words, Stopped if a signal asked for the
    end. Whatever is raised, no process is left running, and the same call goes on where this one was.
    """
    with run_folder(arguments["root"]) as folder:
        (folder.path / local.ARGUMENTS).write_text(json.dumps({"arguments": arguments, "until": until, "ahead": ahead}))
        try:
            with _cleaned(folder, containers):
                _run(folder, stream)
        except FecError as error:
            raise type(error)(f"{error} (log: {folder.log})") from None
        return str(json.loads((folder.path / local.OUTPUTS).read_text()).get("Output", ""))


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
    # Of a step that ended with an exception that is not ours.
    crashes: list[str] = field(default_factory=list)
    # Which step failed, as its executor saw it.
    failed: str = ""

    def note(self, event: Event) -> None:
        if (error := error_of(event)) is not None:
            self.errors.append(error)
        elif event.get("event") == "crashed":
            self.crashes.append(event["message"])
        elif event.get("event") == local.STEP_FAILED:
            self.failed = event["message"]

    @property
    def hopeless(self) -> bool:
        """Whether there is no point in letting the other tasks go on."""
        return any(isinstance(error, ConfigurationError) for error in self.errors)

    def error(self, exit_code: int, log: Path) -> FecError:
        """The one error to report of a run that ended with ``exit_code``."""
        if self.errors:
            return next((error for error in self.errors if isinstance(error, ConfigurationError)), self.errors[0])
        if self.failed:
            why = self.crashes[0] if self.crashes else "it said nothing; was it killed, for want of memory?"
            return RunFailed(f"{self.failed}: {why}")
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        return RunFailed(f"the pipeline's process {how}: {_last_line(log)}")


def _last_line(log: Path) -> str:
    with log.open(errors="replace") as lines:
        said = deque((line.strip() for line in lines if line.strip()), maxlen=1)
    return said[0] if said else "it said nothing"


def _run(folder: RunFolder, stream: TextIO) -> None:
    channel = Channel(folder.path / CHANNEL)
    command = [sys.executable, "-m", local.__name__, str(folder.path)]
    # Nothing is imported from the folder one happens to stand in, by any of the tasks.
    python = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    environment = {**os.environ, **channel.environment, **python, "TMPDIR": str(folder.temporary)}
    display = Display(stream)
    failures = _Failures()
    with (
        closing(channel),
        open(folder.log, "wb") as log,
        supervised(command, environment, log, inherited=[folder.lock]) as process,
    ):
        display.show({"event": "starting", "message": f"starting the pipeline (log: {folder.log})"})
        try:
            _watch(process, channel, display, failures)
        finally:
            display.close()
        exit_code = 1 if failures.hopeless else process.wait()
    if exit_code:
        raise failures.error(exit_code, folder.log)


def _watch(process: Supervised, channel: Channel, display: Display, failures: _Failures) -> None:
    """Follow the process until it has ended, or until its end cannot be anything but a failure."""
    for _ in process.looks():
        for event in channel.new():
            display.show(event)
            failures.note(event)
        if failures.hopeless:
            return
