"""The originals of a shard while its download is at work on this machine, as another process sees them.

What is not sealed yet is read from the download's workspace, so that a bucket is not asked for what is still here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fec import layout, tables
from fec.outcomes import ImageOutcome
from fec.row_types import from_values
from fec.rows import SegmentRow
from fec.segments.reading import StoredImage, numbers, read_original
from fec.segments.writing import JOURNAL, TAR
from fec.storage import Storage

# In place of a segment's number, for what has none yet.
UNSEALED: Final = -1


def at_work(storage: Storage, split: str) -> dict[int, Path]:
    """The shards of ``split`` that a download of this machine is at work on, or was when it was killed, and their
    workspaces."""
    found = storage.workspaces(layout.images_dir(split, 0).rpartition("/")[0])
    return {int(folder.name): folder for folder in found if folder.name.isdecimal() and (folder / JOURNAL).exists()}


class Watched:
    """What one shard has of originals, as they come. Reads only: the download knows nothing of it."""

    def __init__(self, storage: Storage, split: str, shard: int, workspace: Path) -> None:
        self._storage, self._split, self._shard, self._workspace = storage, split, shard, workspace
        # How far the journal was read; a shorter one is another, since what it held was sealed.
        self._at = -1
        self._sealed: set[int] = set()

    @property
    def at_work(self) -> bool:
        """Whether the download has not finished the shard."""
        return (self._workspace / JOURNAL).exists()

    def new(self) -> Iterator[StoredImage]:
        """The originals that came since the last call; one may be told of again once it is sealed."""
        try:
            size = (self._workspace / JOURNAL).stat().st_size
        except FileNotFoundError:
            return
        if self._at < 0 or size < self._at:
            self._at = 0
            yield from self._newly_sealed()
        yield from self._newly_added()

    def _newly_sealed(self) -> Iterator[StoredImage]:
        for number in sorted(numbers(self._storage, self._split, self._shard, "parquet") - self._sealed):
            self._sealed.add(number)
            path = f"{layout.segment(self._split, self._shard, number)}.parquet"
            for row in tables.read_rows(self._storage, path, SegmentRow):
                if row.outcome is ImageOutcome.FETCHED:
                    yield StoredImage(**vars(row), segment=number)

    def _newly_added(self) -> Iterator[StoredImage]:
        try:
            with (self._workspace / JOURNAL).open("rb") as journal:
                journal.seek(self._at)
                for line in journal.read().splitlines(keepends=True):
                    if not line.endswith(b"\n"):
                        break
                    self._at += len(line)
                    if (row := _row(line)) is not None and row.outcome is ImageOutcome.FETCHED:
                        yield StoredImage(**vars(row), segment=UNSEALED)
        except FileNotFoundError:
            return

    def read(self, image: StoredImage) -> bytes | None:
        """The bytes of an original that ``new`` told of; None if it was sealed since, and is to be told of again."""
        if image.segment != UNSEALED:
            return read_original(self._storage, self._split, self._shard, image)
        assert image.offset is not None and image.length is not None
        try:
            with (self._workspace / TAR).open("rb") as tar:
                data = os.pread(tar.fileno(), image.length, image.offset)
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == image.sha256 else None


def _row(line: bytes) -> SegmentRow | None:
    """A row of the journal; None for the rest of one whose start was cut off as it was read."""
    try:
        return from_values(SegmentRow, json.loads(line))
    except (ValueError, TypeError, AttributeError):
        return None
