"""Originals into segments, each safe against a kill as soon as it was added."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import TracebackType
from typing import Final, Self

from fec import layout, tables
from fec.errors import RunFailed
from fec.journal import Journal
from fec.row_types import from_values, to_json
from fec.rows import SegmentRow, Tried
from fec.segments.reading import SEGMENT_FILE, numbers
from fec.storage import Storage

# A segment is in memory while it is put: one at a time in a process, so that small nodes do.
SEGMENT_BYTES: Final = 64 << 20
_PUTTING: Final = threading.Lock()
_BLOCK: Final = tarfile.BLOCKSIZE


def seal_unfinished(storage: Storage, split: str) -> None:
    """Seal what killed tasks of this machine had added to any shard of ``split``, in the plan or not.

    Raises RunFailed while one of them is still at work.
    """
    shards = storage.workspace(layout.images_dir(split, 0)).parent
    for journal in sorted(shards.glob("*/journal")):
        with SegmentWriter(storage, split, int(journal.parent.name)) as writer:
            writer.finish()
    storage.remove_workspace(layout.images_dir(split, 0))


class SegmentWriter:
    """Stores originals and outcomes of one shard, each safe against a kill as soon as ``add`` returns.

    ``recovered`` is what a killed predecessor had added and not yet sealed. Use as a context manager; leaving
    it by an exception keeps what was added for the next one. Raises RunFailed while another process has the
    shard's workspace, and where the disk or the root does not take what is written. Safe to use from several threads.
    """

    def __init__(self, storage: Storage, split: str, shard: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._storage, self._split, self._shard = storage, split, shard
        self._directory = layout.images_dir(split, shard)
        self._segment_bytes = segment_bytes
        self._lock = threading.RLock()
        workspace = storage.workspace(self._directory)
        self._journal = Journal(workspace / "journal")
        self._path = workspace / "segment.tar"
        self._path.touch()
        self._tar = io.FileIO(self._path, "r+")
        self._rows, self._end = _whole(self._tar, [from_values(SegmentRow, row) for row in self._journal.rows])
        if len(self._rows) < len(self._journal.rows):
            self._journal.clear()
            for row in self._rows:
                self._journal.append(to_json(row))
        self._tar.truncate(self._end)
        self.recovered: dict[str, Tried] = {row.image_id: row for row in self._rows}
        if self._rows and self._holding(self._content()):
            self.seal()

    def add(self, tried: Tried, data: bytes | None = None, extension: str = "bin") -> None:
        """Store an outcome, and the bytes of an image that was fetched; seals the segment when it is full."""
        offset = length = digest = None
        with self._lock, self._disk():
            if data is not None:
                header = tarfile.TarInfo(f"{tried.image_id}.{extension}")
                header.size = length = len(data)
                header.mode = 0o644
                offset = self._end + _BLOCK
                digest = hashlib.sha256(data).hexdigest()
                self._tar.seek(self._end)
                for piece in (header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-length % _BLOCK)):
                    _write(self._tar, piece)
            row = SegmentRow(**vars(tried), offset=offset, length=length, sha256=digest)
            self._journal.append(to_json(row))
            self._rows.append(row)
            if offset is not None and length is not None:
                self._end = _after(offset, length)
            if self._end >= self._segment_bytes:
                self.seal()

    def would_fill(self, length: int) -> bool:
        """Whether adding that many bytes would make the segment full, and so ``add`` slow."""
        return _after(self._end + _BLOCK, length) >= self._segment_bytes

    def seal(self) -> None:
        """Put what was added so far as a segment; does nothing if there is nothing."""
        with self._lock:
            if self._rows:
                with _PUTTING:
                    self._put()
                self._rows, self._end = [], 0
                self._journal.clear()
                self._tar.truncate(0)

    def _put(self) -> None:
        content = self._content()
        manifest = tables.to_bytes(tables.from_rows(self._rows, SegmentRow))
        for number in self._holding(content):
            if self._is_manifest(number, manifest):
                return
        taken = {
            number for kind in ("tar", "parquet") for number in numbers(self._storage, self._split, self._shard, kind)
        }
        for number in count(max(taken, default=-1) + 1):
            path = f"{layout.segment(self._split, self._shard, number)}.tar"
            if self._storage.write_if_absent(path, content) and self._is_manifest(number, manifest):
                return

    def _holding(self, content: bytes) -> list[int]:
        """The segments whose tar has this ``content``: put just before a kill or a failure, or empty like this one."""
        return [
            int(match[1])
            for entry in self._storage.list(self._directory)
            if (match := SEGMENT_FILE.search(entry.path)) and match[2] == "tar"
            if entry.size == len(content) and self._storage.read(entry.path) == content
        ]

    def _is_manifest(self, number: int, manifest: bytes) -> bool:
        """Whether ``manifest`` is that of segment ``number``, put there now or before."""
        path = f"{layout.segment(self._split, self._shard, number)}.parquet"
        return self._storage.write_if_absent(path, manifest) or self._storage.read(path) == manifest

    def _content(self) -> bytes:
        """The tar, complete. It has one even if nothing was fetched: putting it is what takes the number."""
        with self._disk():
            self._tar.seek(self._end)
            _write(self._tar, bytes(2 * _BLOCK))
            self._tar.truncate()
            return self._path.read_bytes()

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
            self._tar.close()
            self._journal.close()

    def finish(self) -> None:
        """Seal, and remove the workspace: the shard is done."""
        self.seal()
        self.close()
        self._storage.remove_workspace(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _after(offset: int, length: int) -> int:
    """Where the next member of a tar begins."""
    return offset + length + -length % _BLOCK


def _write(file: io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


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
