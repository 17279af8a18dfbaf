"""What a person sees while a run works: live lines in a terminal, plain ones everywhere else.

The steps say how far they are in JSON lines (fec.progress); kfp.local mixes these with its own log.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

# Seconds between two pictures of the live lines.
FRAME: Final = 0.1
BAR: Final = 20
# Seconds between two plain lines of one task.
PLAIN_INTERVAL: Final = 10.0

_EVENT: Final = re.compile(r'\{"time": .*"event": ')
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_FAILED: Final = re.compile(r"Task '([\w-]+)' finished with status FAILURE")


def event_in(line: str) -> Mapping[str, Any] | None:
    """The event of fec.progress that a line of kfp.local's output holds, or None."""
    found = _EVENT.search(line)
    if not found:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(line, found.start())
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("message"), str) else None


def failed_task_in(line: str) -> str | None:
    """The name of the task that this line of kfp.local's output reports as failed, or None."""
    found = _FAILED.search(_COLOUR.sub("", line))
    return found.group(1) if found else None


@dataclass
class Display:
    """Shows events on ``stream``: a line for each task at work, redrawn if ``live``, said again otherwise."""

    stream: TextIO
    live: bool
    _tasks: dict[str, str] = field(default_factory=dict)
    _drawn: int = 0
    _last_frame: float = 0.0
    _said: str = ""
    _said_at: dict[str, float] = field(default_factory=dict)

    def show(self, event: Mapping[str, Any]) -> None:
        if event.get("event") == "error":
            return  # said once, at the end
        if event.get("event") != "progress":
            self._say(str(event["message"]))
            return
        task, done, total = str(event.get("task")), event.get("done", 0), event.get("total", 0)
        if not self.live:
            now = time.monotonic()
            if done >= total or now - self._said_at.get(task, -PLAIN_INTERVAL) >= PLAIN_INTERVAL:
                self._said_at[task] = now
                self._say(str(event["message"]))
        elif done >= total:
            self._tasks.pop(task, None)
            self._say(_bar(event))
        else:
            self._tasks[task] = _bar(event)
            self._draw()

    def close(self) -> None:
        """Take the live lines away."""
        self._tasks.clear()
        self._draw(now=True)

    def _say(self, text: str) -> None:
        text = _printable(text)
        if text == self._said:
            return
        self._said = text
        self._erase()
        print(text, file=self.stream, flush=True)
        self._draw(now=True)

    def _erase(self) -> None:
        if self._drawn:
            print(f"\x1b[{self._drawn}A\x1b[J", end="", file=self.stream)
            self._drawn = 0

    def _draw(self, now: bool = False) -> None:
        if not self.live or (not now and time.monotonic() - self._last_frame < FRAME):
            return
        self._last_frame = time.monotonic()
        self._erase()
        width = shutil.get_terminal_size().columns - 1
        for line in self._tasks.values():
            print(_printable(line)[:width], file=self.stream)
        self._drawn = len(self._tasks)
        self.stream.flush()


def _printable(text: str) -> str:
    """``text`` on one line and without terminal control: parts of it come from the network."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _bar(event: Mapping[str, Any]) -> str:
    done, total = int(event.get("done", 0)), int(event.get("total", 0))
    filled = BAR * done // total if total else BAR
    counts = "  ".join(f"{name} {number:,}" for name, number in dict(event.get("counts") or {}).items())
    bar = "█" * filled + "░" * (BAR - filled)
    return f"{event['task']!s:<24} {bar} {done:,} of {total:,} {event.get('unit', '')}  {counts}".rstrip()
