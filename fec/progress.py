"""What long work says while it runs: events, and how far a task is. fec.log brings them to who reads them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from fec import log

# Seconds between two progress lines of one task in a log: few at first, and ever more, so that a pod's log stays
# short (ten hours are about a thousand lines).
INTERVAL: Final = 2.0
MAX_INTERVAL: Final = 60.0
_INTERVAL_SHARE: Final = 0.01
# The same for a person at a terminal.
_LIVE_INTERVAL: Final = 0.1

_listeners: list[Callable[[Mapping[str, Any]], None]] = []


def task_name(work: str, split: str, group: str) -> str:
    """What a step's progress is called: no two tasks of a run are called the same. ``group``: INDEX/COUNT."""
    return f"{work} {split}" if group.endswith("/1") else f"{work} {split} {group}"


@contextmanager
def heard_by(listener: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """While the body lasts, ``listener`` gets every event too: ``event``, ``message`` and its other fields."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def event(name: str, message: str, *, severity: str = "INFO", **fields: Any) -> None:
    """Say that something happened: ``message`` is for people, ``name`` and ``fields`` are for programs."""
    for listener in _listeners:
        listener({"event": name, "message": message, **fields})
    log.start()
    level = logging.getLevelNamesMapping()[severity]
    log.LOGGER.log(level, "%s", message, extra={"event": name, "fields": fields})


def repeat(said: Mapping[str, Any]) -> None:
    """Say again what another process said, given as the object it logged."""
    fields = {key: value for key, value in said.items() if key not in ("time", "severity", "event", "message")}
    event(str(said["event"]), str(said["message"]), severity=str(said["severity"]), **fields)


class Progress:
    """How far a task is. Counts are shown as they stand, such as ``fetched=10 gone=2``, and so is a ``loss=0.31``."""

    def __init__(self, task: str, total: int, unit: str) -> None:
        self.task, self.total, self.unit = task, total, unit
        self.done = 0
        self.counts: dict[str, float] = {}
        self._started = time.monotonic()
        self._said_at = 0.0
        self._said: tuple[int, dict[str, float]] | None = None

    def advance(self, count: int = 1, outcome: str | None = None) -> None:
        """``count`` more units are finished, all with the same ``outcome``."""
        self.done += count
        if outcome is not None:
            self.counts[outcome] = self.counts.get(outcome, 0) + count
        now = time.monotonic()
        silent = now - self._said_at
        # It costs a call to the system to tell whether there is a terminal.
        if silent >= _LIVE_INTERVAL and (silent >= self._interval(now) or log.shown_live()):
            self._said_at = now
            self.say()

    def note(self, name: str, value: float) -> None:
        """Show ``value``, to three digits, as ``name`` from now on."""
        self.counts[name] = float(f"{value:.3g}")

    def _interval(self, now: float) -> float:
        return min(MAX_INTERVAL, max(INTERVAL, _INTERVAL_SHARE * (now - self._started)))

    def say(self) -> None:
        """Say how far it is, unless that was the last thing said."""
        standing = (self.done, dict(self.counts))
        if standing == self._said:
            return
        self._said = standing
        counts = " ".join(f"{name}={number}" for name, number in sorted(self.counts.items()))
        message = f"{self.task}: {self.done:,} of {self.total:,} {self.unit} {counts}".rstrip()
        event(
            "progress",
            message,
            task=self.task,
            done=self.done,
            total=self.total,
            unit=self.unit,
            counts=dict(self.counts),
        )


@contextmanager
def track(task: str, total: int, unit: str) -> Iterator[Progress]:
    """Progress of ``task`` over ``total`` units; says where it ended, however it ended."""
    progress = Progress(task, total, unit)
    try:
        yield progress
    finally:
        progress.say()
