"""What the segments of a shard hold: what became of each image, and the bytes of those that were fetched."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Final

import pyarrow as pa

from fec import layout, tables
from fec.done import read_done
from fec.errors import RunFailed
from fec.original import FORGET, Original
from fec.outcomes import ImageOutcome, Kind
from fec.rows import SegmentRow, Tried
from fec.storage import Storage

SEGMENT_FILE: Final = re.compile(r"segment-(\d{5})\.(tar|parquet)$")
_PRECEDENCE: Final = {Kind.FINAL: 3, Kind.OURS: 2, Kind.TRANSIENT: 2, Kind.NOT_ASKED: 1}


@dataclass(frozen=True, kw_only=True)
class StoredImage(SegmentRow):
    """What is known of one image, and the number of the segment that knows it."""

    segment: int

    @property
    def tried(self) -> Tried:
        """The same without the place."""
        return Tried(**{field.name: getattr(self, field.name) for field in fields(Tried)})


def stored_images(storage: Storage, split: str, shard: int) -> dict[str, StoredImage]:
    """What the shard's segments say of each image they tried, by image id: those that its marker names, if it has one.

    What a task that was started twice put after the marker is taken in by the next download, and is not there before.
    Of several rows for one image the later segment's counts, but a final outcome is never taken back by a
    transient one, nor a fetched image by anything else. Raises RunFailed for a manifest that cannot be read.
    """
    known: dict[str, StoredImage] = {}
    done = read_done(storage, layout.images_dir(split, shard))
    named = None if done is None else done.details.get("manifests")
    for number in sorted(numbers(storage, split, shard, "parquet")):
        if named is not None and f"segment-{number:05d}.parquet" not in named:
            continue
        for row in _read_manifest(storage, f"{layout.segment(split, shard, number)}.parquet"):
            image = StoredImage(**vars(row), segment=number)
            before = known.get(image.image_id)
            if before is None or precedence(image.outcome) >= precedence(before.outcome):
                known[image.image_id] = image
    return known


def manifest_digests(storage: Storage, split: str, shard: int) -> dict[str, str]:
    """The SHA-256 in hex of each of the shard's manifests, by its name."""
    return {
        entry.path.rpartition("/")[2]: hashlib.sha256(storage.read(entry.path)).hexdigest()
        for entry in storage.list(layout.images_dir(split, shard))
        if (match := SEGMENT_FILE.search(entry.path)) and match[2] == "parquet"
    }


def precedence(outcome: ImageOutcome) -> int:
    """Of two rows for one image the one with the higher number counts, of equals the later one."""
    return 4 if outcome is ImageOutcome.FETCHED else _PRECEDENCE[outcome.kind]


def _read_manifest(storage: Storage, path: str) -> list[SegmentRow]:
    with explained(path):
        return list(tables.read_rows(storage, path, SegmentRow))


@contextmanager
def explained(path: str) -> Iterator[None]:
    """What a manifest cannot be read for, as RunFailed with what helps."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise RunFailed(f"{path} cannot be read ({str(error)[:200]}); restore it, or {FORGET}") from None


def originals_digest(images: Iterable[tuple[str, ImageOutcome, str | None]]) -> str:
    """64 hex digits of what later steps read of a shard's originals: a change of outcomes or bytes changes them.

    ``images`` are (image_id, outcome, sha256) sorted by image_id; the latter is None unless the image was fetched.
    """
    digest = hashlib.sha256()
    for image_id, outcome, sha256 in images:
        digest.update(f"{image_id} {outcome} {sha256 or ''}\n".encode())
    return digest.hexdigest()


def original(split: str, shard: int, image: StoredImage) -> Original:
    """Where the bytes of a fetched image lie."""
    if image.offset is None or image.length is None:
        raise ValueError(f"{image.url} was not fetched: {image.outcome}")
    path = f"{layout.segment(split, shard, image.segment)}.tar"
    return Original(image.url, path, image.offset, image.length, image.sha256)


def read_original(storage: Storage, split: str, shard: int, image: StoredImage) -> bytes:
    """The bytes of a fetched image as its host sent them.

    Raises RunFailed, naming the file, if they are missing or not those that were stored.
    """
    return original(split, shard, image).read(storage)


def manifests(storage: Storage, split: str) -> dict[int, frozenset[str]]:
    """The names of the manifests of each shard of ``split`` that has any."""
    found: dict[int, set[str]] = {}
    for entry in storage.list(layout.images_dir(split, 0).rpartition("/")[0]):
        *_, shard, name = entry.path.split("/")
        if (match := SEGMENT_FILE.fullmatch(name)) and match[2] == "parquet" and shard.isdecimal():
            found.setdefault(int(shard), set()).add(name)
    return {shard: frozenset(names) for shard, names in found.items()}


def numbers(storage: Storage, split: str, shard: int, kind: str) -> set[int]:
    """The numbers of the shard's segments that have a file of ``kind``, tar or parquet."""
    matches = (SEGMENT_FILE.search(entry.path) for entry in storage.list(layout.images_dir(split, shard)))
    return {int(match[1]) for match in matches if match and match[2] == kind}
