"""What somebody at a terminal would see."""

import os
import pty
import subprocess
import threading
from collections.abc import Mapping, Sequence

import pyte

COLUMNS, LINES = 120, 30


class Terminal:
    """A terminal of 120 by 30 characters, or of ``columns``, and what a command left on it."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self.raw = b""
        self._screen = pyte.Screen(columns, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.seen: list[list[str]] = []

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Run ``command`` with its standard error here; its exit code."""
        reader, terminal = pty.openpty()
        size = {"COLUMNS": str(self._screen.columns), "LINES": str(LINES), "TERM": "xterm-256color"}
        reading = threading.Thread(target=self._read, args=(reader,))
        reading.start()
        try:
            return subprocess.run(
                command, stderr=terminal, env={**os.environ, **size, **(environment or {})}
            ).returncode
        finally:
            os.close(terminal)
            reading.join()
            os.close(reader)

    def feed(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(data)
        self.seen.append(self.lines)

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty, from top to bottom."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def _read(self, reader: int) -> None:
        try:
            while data := os.read(reader, 10_000):
                self.feed(data)
        except OSError:  # the last writer has closed it
            return
