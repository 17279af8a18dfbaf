"""What is shown of a run while it works: live lines in a terminal, plain ones everywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final, TextIO

from fec.terminal import Screen, printable
from pipelines.local.process import STEP_FAILED

# Seconds between two plain lines of one task.
PLAIN_INTERVAL: Final = 10.0


class Display:
    """Shows events on ``stream``: a line for each task at work, redrawn in a terminal, said again otherwise."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._screen = Screen(stream) if live else None
        self._said = ""
        self._said_at: dict[str, float] = {}

    def show(self, event: Mapping[str, Any]) -> None:
        name = event.get("event")
        if name in ("error", "crashed", STEP_FAILED):
            return  # said once, at the end
        if name == "progress" and not self._is_news(event):
            return
        self._say(str(event["message"]))

    def close(self) -> None:
        """Take the live lines away."""
        if self._screen is not None:
            self._screen.close()

    def _is_news(self, progress: Mapping[str, Any]) -> bool:
        """Whether the progress of a task is to be said: at its end, and without a screen now and then."""
        ended = int(progress.get("done", 0)) >= int(progress.get("total", 0))
        if self._screen is not None:
            self._screen.advance(progress)
            return ended
        task, now = str(progress.get("task")), time.monotonic()
        if not ended and now - self._said_at.get(task, -PLAIN_INTERVAL) < PLAIN_INTERVAL:
            return False
        self._said_at[task] = now
        return True

    def _say(self, text: str) -> None:
        if text == self._said:
            return
        self._said = text
        if self._screen is not None:
            self._screen.say(text)
        else:
            print(printable(text), file=self._stream, flush=True)
