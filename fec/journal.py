"""A journal: rows of finished work, each safe as soon as it is appended, for a step to go on from after a kill."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from fec.errors import RunFailed

_JSON: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class Journal:
    """An append-only file of JSON lines, held by one process at a time.

    ``rows`` are those a killed predecessor left, without a torn last line. A killed process loses no
    appended row; a machine that loses power may lose the last ones, never the order.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RunFailed(f"{path.parent} is being worked on by another process; wait for it, or stop it") from None
        self.rows = self._recover()

    def _recover(self) -> list[dict[str, Any]]:
        self._file.seek(0)
        content = self._file.read()
        rows: list[dict[str, Any]] = []
        end = 0
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not isinstance(row, dict):  # the end of a row whose start was lost may be JSON too
                break
            rows.append(row)
            end += len(line)
        self._file.truncate(end)
        self._end = end
        return rows

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row of JSON-serialisable values, or nothing and raise OSError if the disk does not take it."""
        line = memoryview((_JSON.encode(row) + "\n").encode())
        length = len(line)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += length

    def read(self) -> Iterator[dict[str, Any]]:
        """The rows there are now, one at a time."""
        with self.path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    @property
    def there(self) -> bool:
        """Whether the file still has a name: what is added to one that was removed is lost."""
        return os.fstat(self._file.fileno()).st_nlink > 0

    def clear(self) -> None:
        """Forget all rows, once what they stand for is stored for good."""
        self._file.truncate(0)
        self._end = 0
        self.rows = []

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
