"""Originals as fetched, packed in segments: a tar with the bytes and a Parquet manifest with a row an image tried.

A segment exists once its manifest does. Both are put under a number nobody has taken, never over
something else, so two tasks that were started on one shard by mistake cannot spoil each other's work.

The order of a seal is tar, manifest, journal cleared. A kill between any two of them leaves what the next
SegmentWriter finishes: it finds its own bytes by comparing, and goes on behind them.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from fec import layout, tables
from fec.errors import RunFailed
from fec.journal import Journal
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.storage import Storage

# A segment is in memory while it is put: one at a time in a process, so that small nodes do.
SEGMENT_BYTES: Final = 64 << 20
_PUTTING: Final = threading.Lock()
_BLOCK: Final = tarfile.BLOCKSIZE
_FORGET: Final = "delete the segment's .tar and .parquet and the _DONE.json beside them to fetch its images again"
_NAME: Final = re.compile(r"segment-(\d{5})\.(tar|parquet)$")


@dataclass(frozen=True)
class Tried:
    """What became of one image when it was tried: a row of a segment's manifest, but for where its bytes lie."""

    image_id: str
    url: str
    outcome: ImageOutcome
    detail: str
    attempts: int
    finished_at: datetime
    http_status: int | None = None
    final_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredImage:
    """What is known of one image, and where its bytes lie if it was fetched."""

    image_id: str
    url: str
    outcome: ImageOutcome
    detail: str
    attempts: int
    finished_at: datetime
    http_status: int | None
    final_url: str | None
    headers: Mapping[str, str]
    segment: int
    offset: int | None
    length: int | None
    sha256: str | None

    @property
    def tried(self) -> Tried:
        """The same without the place."""
        return Tried(
            self.image_id,
            self.url,
            self.outcome,
            self.detail,
            self.attempts,
            self.finished_at,
            self.http_status,
            self.final_url,
            self.headers,
        )


def stored_images(storage: Storage, split: str, shard: int) -> dict[str, StoredImage]:
    """What the shard's segments say of each image they tried, by image id.

    Of several rows for one image the later segment's counts, but a final outcome is never taken back by a
    transient one, nor a fetched image by anything else. Raises RunFailed for a manifest that cannot be read.
    """
    known: dict[str, StoredImage] = {}
    for number in sorted(_numbers(storage, split, shard, "parquet")):
        for row in _read_manifest(storage, f"{layout.segment(split, shard, number)}.parquet"):
            image = _from_row(row, number)
            before = known.get(image.image_id)
            if before is None or precedence(image.outcome) >= precedence(before.outcome):
                known[image.image_id] = image
    return known


def manifest_digests(storage: Storage, split: str, shard: int) -> dict[str, str]:
    """The SHA-256 in hex of each of the shard's manifests, by its name."""
    return {
        entry.path.rpartition("/")[2]: hashlib.sha256(storage.read(entry.path)).hexdigest()
        for entry in storage.list(layout.images_dir(split, shard))
        if (match := _NAME.search(entry.path)) and match[2] == "parquet"
    }


def precedence(outcome: ImageOutcome) -> int:
    """Of two rows for one image the one with the higher number counts, of equals the later one."""
    return 2 if outcome is ImageOutcome.FETCHED else 0 if outcome.transient else 1


def _read_manifest(storage: Storage, path: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = tables.read_table(storage, path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise RunFailed(f"{path} cannot be read ({str(error)[:200]}); restore it, or {_FORGET}") from None
    return rows


def originals_digest(images: Iterable[tuple[str, ImageOutcome, str | None]]) -> str:
    """64 hex digits of what later steps read of a shard's originals: a change of outcomes or bytes changes them.

    ``images`` are (image_id, outcome, sha256) sorted by image_id; the latter is None unless the image was fetched.
    """
    digest = hashlib.sha256()
    for image_id, outcome, sha256 in images:
        digest.update(f"{image_id} {outcome} {sha256 or ''}\n".encode())
    return digest.hexdigest()


def read_original(storage: Storage, split: str, shard: int, image: StoredImage) -> bytes:
    """The bytes of a fetched image as its host sent them.

    Raises RunFailed, naming the file, if they are missing or not those that were stored.
    """
    path = f"{layout.segment(split, shard, image.segment)}.tar"
    if image.offset is None or image.length is None:
        raise ValueError(f"{image.url} was not fetched: {image.outcome}")
    try:
        data = storage.read_range(path, image.offset, image.length)
    except FileNotFoundError:
        raise RunFailed(f"{path} is missing, though its manifest is there; restore it, or {_FORGET}") from None
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise RunFailed(
            f"{path}: the bytes of {image.url} at {image.offset} are not those that were stored; "
            f"restore the file, or {_FORGET}"
        )
    return data


def adopt_orphans(storage: Storage, split: str, shard: int, urls: Mapping[str, str]) -> None:
    """Give a manifest to segments whose task died with its disk between tar and manifest; ``urls`` by image id.

    Call it after what is in the journal was sealed: its owner knows more of a segment than the tar does.
    """
    orphans = _numbers(storage, split, shard, "tar") - _numbers(storage, split, shard, "parquet")
    for number in sorted(orphans):
        base = layout.segment(split, shard, number)
        at = datetime.now(UTC)
        rows = []
        try:
            for image_id, offset, data in _members(storage.read(f"{base}.tar")):
                if image_id in urls:
                    tried = Tried(image_id, urls[image_id], ImageOutcome.FETCHED, "found in a segment", 0, at)
                    rows.append(_row(tried, offset, len(data), hashlib.sha256(data).hexdigest()))
        except tarfile.TarError as error:
            event("spoiled", f"{base}.tar cannot be read ({error}); its images are fetched again", severity="WARNING")
            continue
        storage.write_if_absent(f"{base}.parquet", _manifest(rows))


def _members(content: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The image id, offset and bytes of every member of a segment's tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name.partition(".")[0], member.offset_data, file.read()


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
        self._rows, self._end = _whole(self._tar, self._journal.rows)
        if len(self._rows) < len(self._journal.rows):
            self._journal.clear()
            for row in self._rows:
                self._journal.append(row)
        self._tar.truncate(self._end)
        self.recovered = {row["image_id"]: _tried(row) for row in self._rows}
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
            row = _row(tried, offset, length, digest) | {"finished_at": tried.finished_at.isoformat()}
            self._journal.append(row)
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
        manifest = _manifest([row | {"finished_at": _moment(row["finished_at"])} for row in self._rows])
        for number in self._holding(content):
            if self._is_manifest(number, manifest):
                return
        taken = {
            number for kind in ("tar", "parquet") for number in _numbers(self._storage, self._split, self._shard, kind)
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
            if (match := _NAME.search(entry.path)) and match[2] == "tar"
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


def _whole(tar: io.FileIO, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The journal's rows up to the first whose bytes were lost (by a loss of power), and where they end in the tar."""
    end = 0
    for number, row in enumerate(rows):
        if row["offset"] is not None:
            tar.seek(row["offset"])
            after = _after(row["offset"], row["length"])
            data = tar.read(after - row["offset"])
            if len(data) < after - row["offset"] or hashlib.sha256(data[: row["length"]]).hexdigest() != row["sha256"]:
                return rows[:number], end
            end = after
    return list(rows), end


def _row(tried: Tried, offset: int | None, length: int | None, sha256: str | None) -> dict[str, Any]:
    return {
        "image_id": tried.image_id,
        "url": tried.url,
        "outcome": str(tried.outcome),
        "detail": tried.detail,
        "attempts": tried.attempts,
        "finished_at": tried.finished_at,
        "http_status": tried.http_status,
        "final_url": tried.final_url,
        "headers": dict(tried.headers),
        "offset": offset,
        "length": length,
        "sha256": sha256,
    }


def _tried(row: Mapping[str, Any]) -> Tried:
    return Tried(
        row["image_id"],
        row["url"],
        ImageOutcome(row["outcome"]),
        row["detail"],
        row["attempts"],
        _moment(row["finished_at"]),
        row["http_status"],
        row["final_url"],
        dict(row["headers"] or {}),
    )


def _from_row(row: Mapping[str, Any], segment: int) -> StoredImage:
    tried = _tried(row)
    return StoredImage(**vars(tried), segment=segment, offset=row["offset"], length=row["length"], sha256=row["sha256"])


def _moment(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _manifest(rows: list[dict[str, Any]]) -> bytes:
    return tables.to_bytes(tables.from_rows(rows, tables.SEGMENT))


def _numbers(storage: Storage, split: str, shard: int, kind: str) -> set[int]:
    matches = (_NAME.search(entry.path) for entry in storage.list(layout.images_dir(split, shard)))
    return {int(match[1]) for match in matches if match and match[2] == kind}
