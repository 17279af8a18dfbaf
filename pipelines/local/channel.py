"""The channel by which steps tell their watcher how far they are: a file that they append events to (fec.log).

A file, and neither a pipe nor a descriptor: kfp.local hands no descriptor on to what it starts, a container sees a
file that is mounted, and a step whose watcher was killed neither waits for a reader nor dies of having none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fec import log
from fec.errors import ConfigurationError, FecError, RunFailed

Event = Mapping[str, Any]


class Lines:
    """The whole lines of a file that others append to, each given once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""

    def new(self) -> Iterator[str]:
        """The lines that were ended since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")

    def close(self) -> None:
        self._file.close()


class Channel:
    """A new channel at ``path``; ``environment`` is what makes a process, and all it starts, speak on it."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        self.environment = {log.EVENTS: str(path)}
        self._lines = Lines(path)

    def new(self) -> Iterator[Event]:
        """The events that came since the last call."""
        for line in self._lines.new():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and isinstance(value.get("message"), str):
                yield value

    def close(self) -> None:
        self._lines.close()


def error_of(event: Event) -> FecError | None:
    """The error that a step ended with, if the event tells of one."""
    if event.get("event") != "error":
        return None
    kind = ConfigurationError if event.get("exit_code") == ConfigurationError.exit_code else RunFailed
    return kind(event["message"])
