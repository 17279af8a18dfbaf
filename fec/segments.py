"""Originals as fetched, packed in segments: a tar with the bytes and a Parquet manifest with a row an image tried.

A segment exists once its manifest does. Both are put under a number nobody has taken, never over
something else, so two tasks that were started on one shard by mistake cannot spoil each other's work.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from fec import layout, tables
from fec.errors import RunFailed
from fec.journal import Journal
from fec.outcomes import ImageOutcome
from fec.storage import Storage

# A segment is read into memory once, when it is put, and a task on a small node holds a few.
SEGMENT_BYTES: Final = 64 << 20
_BLOCK: Final = tarfile.BLOCKSIZE
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
    transient one.
    """
    known: dict[str, StoredImage] = {}
    for number in sorted(_numbers(storage, split, shard, "parquet")):
        rows = tables.read_table(storage, f"{layout.segment(split, shard, number)}.parquet").to_pylist()
        for row in rows:
            image = _from_row(row, number)
            before = known.get(image.image_id)
            if before is None or before.outcome.transient or not image.outcome.transient:
                known[image.image_id] = image
    return known


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
        raise RunFailed(f"{path} is missing, though its manifest is there; restore it, or delete both") from None
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise RunFailed(
            f"{path}: the bytes of {image.url} at {image.offset} are not those that were stored; "
            f"restore the file, or delete it and its manifest to fetch its images again"
        )
    return data


def originals(
    storage: Storage, split: str, shard: int, wanted: Collection[str] | None = None
) -> Iterator[tuple[StoredImage, bytes]]:
    """The fetched images of a shard (only those ``wanted``, by image id) with their bytes, in the order they lie in."""
    images = [
        image
        for image in stored_images(storage, split, shard).values()
        if image.outcome is ImageOutcome.FETCHED and (wanted is None or image.image_id in wanted)
    ]
    for image in sorted(images, key=lambda image: (image.segment, image.offset or 0)):
        yield image, read_original(storage, split, shard, image)


def adopt_orphans(storage: Storage, split: str, shard: int, urls: Mapping[str, str]) -> None:
    """Give a manifest to segments whose task died between tar and manifest; ``urls`` by image id."""
    orphans = _numbers(storage, split, shard, "tar") - _numbers(storage, split, shard, "parquet")
    for number in sorted(orphans):
        path = f"{layout.segment(split, shard, number)}.tar"
        rows = []
        with tarfile.open(fileobj=io.BytesIO(storage.read(path))) as tar:
            for member in tar:
                image_id = member.name.partition(".")[0]
                content = tar.extractfile(member)
                if image_id in urls and content is not None:
                    at = datetime.now(UTC)
                    tried = Tried(image_id, urls[image_id], ImageOutcome.FETCHED, "found in a segment", 0, at)
                    digest = hashlib.sha256(content.read()).hexdigest()
                    rows.append(_row(tried, member.offset_data, member.size, digest))
        storage.write_if_absent(f"{layout.segment(split, shard, number)}.parquet", _manifest(rows))


class SegmentWriter:
    """Stores originals and outcomes of one shard, each safe against a kill as soon as ``add`` returns.

    ``recovered`` is what a killed predecessor had added and not yet sealed. Use as a context manager; leaving
    it by an exception keeps what was added for the next one.
    """

    def __init__(self, storage: Storage, split: str, shard: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._storage, self._split, self._shard = storage, split, shard
        self._directory = layout.images_dir(split, shard)
        self._segment_bytes = segment_bytes
        workspace = storage.workspace(self._directory)
        self._journal = Journal(workspace / "journal")
        self._path = workspace / "segment.tar"
        self._rows = self._journal.rows
        self._tar, lost = _opened(self._path, self._rows)
        if lost:
            rows, self._rows = self._rows, []
            self._journal.clear()
            for row in rows:
                self._journal.append(row)
                self._rows.append(row)
        self.recovered = {row["image_id"]: _tried(row) for row in self._rows}

    def add(self, tried: Tried, data: bytes | None = None, extension: str = "bin") -> None:
        """Store an outcome, and the bytes of an image that was fetched; seals the segment when it is full."""
        offset = length = digest = None
        if data is not None:
            header = tarfile.TarInfo(f"{tried.image_id}.{extension}")
            header.size = length = len(data)
            header.mode = 0o644
            offset = self._tar.tell() + _BLOCK
            digest = hashlib.sha256(data).hexdigest()
            self._tar.write(header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-length % _BLOCK))
            self._tar.flush()
        row = _row(tried, offset, length, digest)
        self._journal.append(row | {"finished_at": tried.finished_at.isoformat()})
        self._rows.append(row)
        if self._tar.tell() >= self._segment_bytes:
            self.seal()

    def seal(self) -> None:
        """Put what was added so far as a segment; does nothing if there is nothing."""
        if self._rows:
            self._put()
            self._tar.close()
            self._path.unlink()
            self._journal.clear()
            self._rows = []
            self._tar, _ = _opened(self._path, self._rows)

    def _put(self) -> None:
        self._tar.flush()
        manifest = _manifest([row | {"finished_at": _moment(row["finished_at"])} for row in self._rows])
        content = self._path.read_bytes()
        content = content + bytes(2 * _BLOCK) if content else b""
        taken = _numbers(self._storage, self._split, self._shard, "tar")
        taken |= _numbers(self._storage, self._split, self._shard, "parquet")
        # From the last one taken: it may be ours, put just before a kill.
        for number in count(max(taken, default=0)):
            base = layout.segment(self._split, self._shard, number)
            if content and not self._is_there(f"{base}.tar", content):
                continue
            if self._is_there(f"{base}.parquet", manifest):
                return

    def _is_there(self, path: str, data: bytes) -> bool:
        """Whether ``data`` stands at ``path``, put there now or before; False if something else does."""
        if self._storage.write_if_absent(path, data):
            return True
        return self._storage.size(path) == len(data) and self._storage.read(path) == data

    def close(self) -> None:
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


def _opened(path: Path, rows: list[dict[str, Any]]) -> tuple[BinaryIO, bool]:
    """The growing tar, cut to what the journal knows; and whether rows were dropped since their bytes are lost."""
    file = path.open("a+b")
    size = file.seek(0, io.SEEK_END)
    end = 0
    lost = False
    for number, row in enumerate(rows):
        if row["offset"] is None:
            continue
        after = row["offset"] + row["length"] + -row["length"] % _BLOCK
        if after > size:
            del rows[number:]
            lost = True
            break
        end = after
    file.truncate(end)
    file.seek(end)
    return file, lost


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
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(tables.from_rows(rows, tables.SEGMENT), buffer, compression="zstd")
    return buffer.getvalue()


def _numbers(storage: Storage, split: str, shard: int, kind: str) -> set[int]:
    matches = (_NAME.search(entry.path) for entry in storage.list(layout.images_dir(split, shard)))
    return {int(match[1]) for match in matches if match and match[2] == kind}
