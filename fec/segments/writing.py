"""Originals into segments, each safe against a kill as soon as it was added, its bytes written once."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

from fec import layout, tables
from fec.errors import RunFailed
from fec.journal import Journal
from fec.row_types import from_values, to_json
from fec.rows import SegmentRow, Tried
from fec.segments.members import member_header
from fec.segments.reading import SEGMENT_FILE, numbers
from fec.storage import Storage

# What lies in the workspace of a shard: what was added since the last seal, a row each, and their bytes.
JOURNAL: Final = "journal"
TAR: Final = "segment.tar"
SEGMENT_BYTES: Final = 64 << 20
# Rows of a segment: many tiny pictures, or many that are gone.
SEGMENT_ROWS: Final = 4096
# How often it is looked whether the workspace is still there.
LOOK_SECONDS: Final = 1.0
# One manifest is made at a time in a process, so that small nodes do.
_PUTTING: Final = threading.Lock()
_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = 2 * _BLOCK
_PADDING: Final = bytes(_BLOCK)
_ROWS: Final = 1024


def seal_unfinished(storage: Storage, split: str) -> None:
    """Seal what killed tasks of this machine had added to any shard of ``split``, in the plan or not.

    Raises RunFailed while one of them is still at work.
    """
    shards = storage.workspace(layout.images_dir(split, 0)).parent
    for journal in sorted(shards.glob(f"*/{JOURNAL}")):
        with SegmentWriter(storage, split, int(journal.parent.name)) as writer:
            writer.finish()
    storage.remove_workspace(layout.images_dir(split, 0))


class SegmentWriter:
    """Stores originals and outcomes of one shard, each safe against a kill as soon as ``add`` returns.

    ``recovered`` are the ids of what a killed predecessor had added and not yet sealed. Use as a context manager;
    leaving it by an exception keeps what was added for the next one. Raises RunFailed while another process has the
    shard's workspace, and where the disk or the root does not take what is written. Safe to use from several threads.

    The bytes are written to the tar that becomes the segment. Once it is put it is nobody's to change: a folder has it
    by a second link.
    """

    def __init__(self, storage: Storage, split: str, shard: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._storage, self._split, self._shard = storage, split, shard
        self._directory = layout.images_dir(split, shard)
        self._segment_bytes = segment_bytes
        self._lock = threading.RLock()
        workspace = storage.workspace(self._directory)
        self._journal = Journal(workspace / JOURNAL)
        self._path = workspace / TAR
        # The number the tar was put under while its manifest was not.
        self._put_as: int | None = None
        self._look_at = 0.0
        if not self._journal.rows:  # what lies there was put before the journal was cleared
            self._path.unlink(missing_ok=True)
        self._tar = _opened(self._path)
        self.recovered = self._recover()

    def _recover(self) -> frozenset[str]:
        rows, self._end = _whole(self._tar, [from_values(SegmentRow, row) for row in self._journal.rows])
        if len(rows) < len(self._journal.rows):
            self._journal.clear()
            for row in rows:
                self._journal.append(to_json(row))
        self._journal.rows = []
        self._count = len(rows)
        put = self._put_before() if rows else []
        if put:
            self._put_as = put[0]
            self.seal()
        else:
            self._own()
            self._tar.truncate(self._end)
        return frozenset(row.image_id for row in rows)

    def _own(self) -> None:
        """Let go of a tar that has a name elsewhere too, as in a copy of the root made of links."""
        if os.fstat(self._tar.fileno()).st_nlink > 1:
            copy = self._path.with_suffix(".copy")
            shutil.copyfile(self._path, copy)
            copy.replace(self._path)
            self._tar.close()
            self._tar = _opened(self._path)

    def add(self, tried: Tried, data: bytes | None = None, extension: str = "bin") -> None:
        """Store an outcome, and the bytes of an image that was fetched; seals the segment when it is full."""
        offset = length = digest = None
        with self._lock, self._disk():
            if self._put_as is not None:
                self.seal()
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_SECONDS
                if not self._journal.there:
                    raise self._removed()
            if data is not None:
                length = len(data)
                header = member_header(f"{tried.image_id}.{extension}", length)
                offset = self._end + _BLOCK
                digest = hashlib.sha256(data).hexdigest()
                _write(self._tar, self._end, header, data, _PADDING[: -length % _BLOCK])
            self._journal.append(to_json(tried) | {"offset": offset, "length": length, "sha256": digest})
            self._count += 1
            if offset is not None and length is not None:
                self._end = _after(offset, length)
            if self._end >= self._segment_bytes or self._count >= SEGMENT_ROWS:
                self.seal()

    def would_fill(self, length: int) -> bool:
        """Whether adding that many bytes would make the segment full, and so ``add`` slow."""
        return _after(self._end + _BLOCK, length) >= self._segment_bytes or self._count + 1 >= SEGMENT_ROWS

    def seal(self) -> None:
        """Put what was added so far as a segment; does nothing if there is nothing."""
        with self._lock:
            if not self._count:
                return
            if not self._journal.there or not os.fstat(self._tar.fileno()).st_nlink:
                raise self._removed()
            with _PUTTING:
                self._put()
            # In this order: a tar beside an empty journal is known to be put, and never changed.
            self._journal.clear()
            self._tar.close()
            self._path.unlink()
            self._tar = _opened(self._path)
            self._count, self._end, self._put_as = 0, 0, None

    def _put(self) -> None:
        """Tar, then manifest. The tar has an end even if nothing was fetched: putting it is what takes the number."""
        manifest = tables.to_bytes(self._manifest())
        tables.release_memory()
        if self._put_as is None:
            with self._disk():
                _write(self._tar, self._end, bytes(_END))
                self._tar.truncate(self._end + _END)
        elif self._is_manifest(self._put_as, manifest):
            return
        taken = {
            number for kind in ("tar", "parquet") for number in numbers(self._storage, self._split, self._shard, kind)
        }
        for number in count(max(taken, default=-1) + 1):
            path = f"{layout.segment(self._split, self._shard, number)}.tar"
            if self._storage.write_file_if_absent(path, self._path):
                self._put_as = number
                if self._is_manifest(number, manifest):
                    return

    def _manifest(self) -> pa.Table:
        """The rows of the journal, which are not held."""
        whole, rows = [tables.from_rows([], SegmentRow)], self._journal.read()
        while some := list(islice(rows, _ROWS)):
            whole.append(tables.from_json(some, SegmentRow))
        return pa.concat_tables(whole)

    def _put_before(self) -> list[int]:
        """The segments that this tar was put as, just before a kill or a failure."""
        with self._disk():
            if self._path.stat().st_size != self._end + _END:
                return []
        return [
            int(match[1])
            for entry in self._storage.list(self._directory)
            if (match := SEGMENT_FILE.search(entry.path)) and match[2] == "tar"
            if entry.size == self._end + _END and self._storage.same(entry.path, self._path)
        ]

    def _is_manifest(self, number: int, manifest: bytes) -> bool:
        """Whether ``manifest`` is that of segment ``number``, put there now or before."""
        path = f"{layout.segment(self._split, self._shard, number)}.parquet"
        return self._storage.write_if_absent(path, manifest) or self._storage.read(path) == manifest

    def _removed(self) -> RunFailed:
        """What is written to a file that was removed is lost: told now, and not when all of it is."""
        return RunFailed(
            f"{self._path.parent} was removed while the step was at work; what was sealed is stored, the rest is "
            "fetched again: run again"
        )

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """A disk that is full is the user's to mend; what was added before stays good."""
        try:
            yield
        except OSError as error:
            raise RunFailed(
                f"{self._path.parent} does not take any more ({error.strerror}); mend that and run again"
            ) from None

    def close(self) -> None:
        """Leave what is not sealed to the next writer."""
        with self._lock:
            self._journal.close()
            self._tar.close()

    def finish(self) -> None:
        """Seal what is left and remove the workspace."""
        self.seal()
        self.close()
        self._storage.remove_workspace(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _opened(path: Path) -> io.FileIO:
    path.touch()
    return io.FileIO(path, "r+")


def _after(offset: int, length: int) -> int:
    """Where the next member of a tar begins."""
    return offset + length + -length % _BLOCK


def _write(file: io.FileIO, offset: int, *pieces: bytes) -> None:
    left = sum(map(len, pieces))
    written = os.pwritev(file.fileno(), pieces, offset)
    if written < left:  # a disk that is nearly full, which says so at the second try
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            offset += written
            written = os.pwrite(file.fileno(), rest, offset)
            rest = rest[written:]


def _whole(tar: io.FileIO, rows: list[SegmentRow]) -> tuple[list[SegmentRow], int]:
    """The journal's rows up to the first whose bytes were lost (by a loss of power), and where they end in the tar."""
    end = 0
    for number, row in enumerate(rows):
        if row.offset is not None and row.length is not None:
            tar.seek(row.offset)
            after = _after(row.offset, row.length)
            data = tar.read(after - row.offset)
            if len(data) < after - row.offset or hashlib.sha256(data[: row.length]).hexdigest() != row.sha256:
                return rows[:number], end
            end = after
    return rows, end
