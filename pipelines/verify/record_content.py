"""What is in a record file: it is read record by record, and held against its marker and the collected triplets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from fec import tables
from fec.done import Done
from fec.record_families import Kind, RecordFamily
from fec.records import SpoiledRecord, read_frames
from fec.rows import CollectedTriplet
from fec.storage import Storage
from pipelines.verify.collected import Collection
from pipelines.verify.examples import FaceReader, IdTripletReader, TripletReader
from pipelines.verify.findings import Fault, Findings
from pipelines.verify.pictures import Pictures


@dataclass(frozen=True)
class MarkedFile:
    """A record file to be read; ``done`` is None where it has no whole marker."""

    number: int
    path: str
    done: Done | None


@dataclass(frozen=True)
class Content:
    """What reading a file came to; ``records`` are what stands in it of faces or ids, None for triplets."""

    faults: list[Fault]
    seen: int
    whole: bool
    records: pa.Table | None


@dataclass(frozen=True)
class Context:
    """What the files of all families of a split are held against."""

    storage: Storage
    sizes: Mapping[str, int]
    collected: Collection | None
    findings: Findings
    pictures: dict[tuple[int, int] | None, Pictures]


def read_content(context: Context, family: RecordFamily, file: MarkedFile) -> Content:
    """Read one file record by record, whatever its size."""
    reader = _reader(context, family, file)
    faults: list[Fault] = []
    try:
        with context.storage.local_copy(file.path) as copy, copy.open("rb") as opened:
            hashed = _Hashed(opened)
            try:
                for payload in read_frames(hashed):
                    reader.see(payload)
                whole = True
            except SpoiledRecord as error:
                faults.append(Fault(file.path, f"{error}; the {reader.seen:,} records before it were read"))
                whole = False
    except OSError as error:
        return Content([Fault(file.path, f"cannot be read ({error.strerror or error})")], 0, False, None)
    faults += [Fault(file.path, what) for what in reader.wrong]
    if whole:
        faults += [Fault(file.path, what) for what in _wrong_counts(family, file, reader.seen, hashed)]
    table = None if isinstance(reader, TripletReader) else reader.table()
    return Content(faults, reader.seen, whole, table)


def _reader(context: Context, family: RecordFamily, file: MarkedFile) -> TripletReader | IdTripletReader | FaceReader:
    if family.kind is Kind.IDS:
        return IdTripletReader()
    made_with = None
    if file.done is not None:
        made_with = (file.done.details["image_size"], file.done.details["jpeg_quality"])
    # Faces of one size and quality are the same in every preset and layout.
    pictures = context.pictures.setdefault(made_with, Pictures(None if made_with is None else made_with[0]))
    if family.kind is Kind.FACES:
        return FaceReader(file.path, pictures)
    rows = family.triplets_of(file.number)
    if context.collected is None or rows is None:
        return TripletReader(file.path, pictures, None)
    triplets = context.collected.triplets.slice(rows.start, len(rows))
    return TripletReader(file.path, pictures, tables.to_rows(triplets, CollectedTriplet))


def _wrong_counts(family: RecordFamily, file: MarkedFile, seen: int, hashed: _Hashed) -> Iterator[str]:
    rows = family.triplets_of(file.number)
    if family.kind is not Kind.FACES and rows is not None and seen != len(rows):
        yield f"{seen:,} records where the manifest has {len(rows):,}"
    if file.done is None:
        return
    counted = file.done.counts[family.counted]
    if seen != counted:
        yield f"{seen:,} records where its marker says {counted:,}"
    if hashed.size != file.done.counts["bytes"]:
        yield f"{hashed.size:,} bytes where its marker says {file.done.counts['bytes']:,}"
    elif not hashed.sha256() == file.done.details["sha256"] == file.done.digest:
        yield "not the bytes that its marker was written for"


class _Hashed:
    """A file that knows the SHA-256 and the number of the bytes that were read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    def sha256(self) -> str:
        return self._digest.hexdigest()
