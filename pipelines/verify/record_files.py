"""Every record file of a split: which there should be, whether each is what its marker says, and what it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

import pyarrow as pa

from components.datagen.step import Job, Parameters, RecordFile
from fec import layout
from fec.cores import available_cores
from fec.done import Done
from fec.presets import PRESETS, first_row
from fec.progress import track
from fec.records import SpoiledRecord, read_frames
from fec.rows import FACE_COLUMNS
from fec.storage import Storage
from pipelines.verify import examples, face_layout, stored
from pipelines.verify.collected import Collected
from pipelines.verify.examples import FaceReader, IdTripletReader, Pictures, TripletReader
from pipelines.verify.findings import Fault, Findings

_MARKERS: Final = "records/_done/"
_DETAILS: Final = ("collect", "preset", "image_size", "jpeg_quality", "sha256")
_BLOCK: Final = 1 << 20
# Rows of the manifest that are Python objects at a time.
_ROWS: Final = 1024


@dataclass(frozen=True)
class Family:
    """The record files of a split, a preset and a kind (triplets, faces or ids); their names begin with ``problem``.

    There should be ``record_shards`` of them, for ``triplets`` triplets (None: not known).
    """

    split: str
    preset: str
    kind: str
    problem: str
    record_shards: int
    triplets: int | None

    @property
    def prefix(self) -> str:
        """What Tensor2Tensor's and our own readers look for, with anything behind it."""
        return f"{self.problem}-{layout.RECORD_SPLIT[self.split]}"

    @property
    def name(self) -> str:
        return f"records/{self.prefix}-*"

    def paths(self) -> list[str]:
        return [layout.record_file(self.split, n, self.record_shards, self.problem) for n in range(self.record_shards)]

    def triplets_of(self, number: int) -> range | None:
        """The collected triplets whose faces or ids a file holds."""
        if self.triplets is None:
            return None
        first, after = (first_row(n, self.triplets, self.record_shards) for n in (number, number + 1))
        return range(first, after)


@dataclass(frozen=True)
class _File:
    """A record file to be read; ``done`` is None where it has no whole marker."""

    number: int
    path: str
    done: Done | None


@dataclass(frozen=True)
class _Content:
    """What reading a file came to; ``records`` are what stands in it of faces or ids, None for triplets."""

    faults: list[Fault]
    seen: int
    whole: bool
    records: pa.Table | None


@dataclass(frozen=True)
class _Context:
    """What the files of all families of a split are held against."""

    storage: Storage
    sizes: Mapping[str, int]
    collected: Collected | None
    findings: Findings
    pictures: dict[tuple[int, int] | None, Pictures]


def check(storage: Storage, split: str, collected: Collected | None, findings: Findings) -> None:
    """Read every record file of every preset and layout back."""
    sizes = {entry.path: entry.size for entry in storage.list("records")}
    context = _Context(storage, sizes, collected, findings, {})
    families = _families(split, collected, sizes)
    expected = {path for family in families for path in family.paths()}
    findings.add(_strays(families, sizes, expected))
    begun = [family for family in families if any(_is_of(family, path) for path in sizes)]
    findings.absent += [f"{family.problem} records of {split}" for family in families if family not in begun]
    if begun and collected is None:
        directory = layout.collect_dir(split)
        findings.fault(
            "records", f"cannot be held against the triplets of {split}: {directory} is not there, or not whole"
        )
    files = {family: _marked(context, family) for family in begun}
    with track(f"verify records of {split}", sum(map(len, files.values())), "files") as progress:
        read: dict[tuple[str, str], face_layout.Files] = {}
        for family, mine in files.items():
            contents = []
            content_of = partial(_content, context, family)
            for content in stored.side_by_side(content_of, mine, available_cores()):
                findings.add(content.faults)
                findings.count(family.problem, split, content.seen)
                contents.append(content)
                progress.advance()
            complete = len(mine) == family.record_shards and all(content.whole for content in contents)
            tables = [
                (file.path, content.records)
                for file, content in zip(mine, contents, strict=True)
                if content.records is not None
            ]
            read[family.preset, family.kind] = face_layout.Files(family.name, tables, complete)
    for pictures in context.pictures.values():
        findings.add(pictures.faults())
    if collected is not None:
        for family in begun:
            findings.add(_wrong_together(family, collected, read))


def _families(split: str, collected: Collected | None, sizes: Mapping[str, int]) -> list[Family]:
    """The families of all presets; without a collection, as the names of the files have it."""
    families = []
    for preset in PRESETS.values():
        kinds = {
            "triplets": preset.name,
            "faces": layout.faces_problem(preset.name),
            "ids": layout.triplets_problem(preset.name),
        }
        for kind, problem in kinds.items():
            if collected is not None:
                records, shards = collected.done.counts["records"], collected.done.counts["record_shards"]
                count, triplets = preset.record_shards(split, records, shards), preset.triplets(split, records)
            else:
                name = re.compile(rf"records/{problem}-{layout.RECORD_SPLIT[split]}-\d{{5}}-of-(\d{{5}})")
                counts = [int(match[1]) for path in sizes if (match := name.fullmatch(path))]
                count, triplets = max(counts, default=0), None
            families.append(Family(split, preset.name, kind, problem, count, triplets))
    return families


def _is_of(family: Family, path: str) -> bool:
    return path.removeprefix(_MARKERS if path.startswith(_MARKERS) else "records/").startswith(family.prefix)


def _strays(families: Sequence[Family], sizes: Mapping[str, int], expected: set[str]) -> Iterator[Fault]:
    """Files that a reader of a whole family takes in though they are none of its files, and markers of no file."""
    for path in sizes:
        for family in families:
            if not _is_of(family, path):
                continue
            if path.startswith(_MARKERS):
                if f"records/{path.split('/')[2]}" not in expected:
                    yield Fault(path, "a marker of no record file")
            elif path not in expected:
                yield Fault(
                    path,
                    f"not one of the {family.record_shards:,} files of {family.prefix}, but who reads {family.prefix}* "
                    "takes it in",
                )


def _marked(context: _Context, family: Family) -> list[_File]:
    """The family's files that are there, with their markers, which are held against the collection."""
    findings, paths = context.findings, family.paths()

    def read(path: str) -> Done | Fault | None:
        directory = f"{_MARKERS}{path.removeprefix('records/')}"
        if f"{directory}/{layout.DONE}" not in context.sizes:
            return None
        counted = "faces" if family.kind == "faces" else "triplets"
        return stored.marker(context.storage, directory, "datagen", (counted, "bytes"), _DETAILS)

    files, made_with = [], set()
    finished = 0
    for number, (path, done) in enumerate(
        zip(paths, stored.side_by_side(read, paths, stored.readers(context.storage)), strict=True)
    ):
        there = path in context.sizes
        finished += there and done is not None
        if isinstance(done, Done) and (wrong := _wrong_marker(context, family, number, done)):
            done = Fault(f"{_MARKERS}{path.removeprefix('records/')}/{layout.DONE}", wrong)
        if isinstance(done, Fault):
            findings.add([done])
            done = None
        elif done is not None:
            made_with.add((done.details["image_size"], done.details["jpeg_quality"]))
            if not there:
                findings.fault(path, "missing, though its marker is there")
                finished += 1
        if there:
            files.append(_File(number, path, done))
    if len(made_with) > 1:
        shown = stored.some(f"{size} pixels at quality {quality}" for size, quality in sorted(made_with))
        findings.fault(family.name, f"hold faces of different sizes or qualities: {shown}")
    findings.progress(family.split, f"{family.problem} records", finished, family.record_shards)
    return files


def _wrong_marker(context: _Context, family: Family, number: int, done: Done) -> str:
    """What is wrong with the marker of the family's file of that number; empty if nothing is."""
    details = done.details
    if not isinstance(details["image_size"], int) or not isinstance(details["jpeg_quality"], int):
        return "not a whole marker of the datagen step"
    if context.collected is None or family.triplets is None:
        return ""
    if details["collect"] != context.collected.done.digest:
        return "of another collection than the one that is there"
    parameters = Parameters(
        context.storage.root,
        family.split,
        "0/1",
        image_size=details["image_size"],
        jpeg_quality=details["jpeg_quality"],
        preset=family.preset,
    )
    digest = context.collected.done.digest
    job = Job(parameters, PRESETS[family.preset], family.triplets, family.record_shards, digest)
    if done.fingerprint != job.fingerprint(RecordFile(family.kind, family.problem, number)):
        return "the marker of another file, or of another run"
    return ""


def _content(context: _Context, family: Family, file: _File) -> _Content:
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
        return _Content([Fault(file.path, f"cannot be read ({error.strerror or error})")], 0, False, None)
    faults += [Fault(file.path, what) for what in reader.wrong]
    if whole:
        faults += [Fault(file.path, what) for what in _wrong_counts(family, file, reader.seen, hashed)]
    table = None if isinstance(reader, TripletReader) else reader.table()
    return _Content(faults, reader.seen, whole, table)


def _reader(context: _Context, family: Family, file: _File) -> TripletReader | IdTripletReader | FaceReader:
    if family.kind == "ids":
        return IdTripletReader()
    made_with = None
    if file.done is not None:
        made_with = (file.done.details["image_size"], file.done.details["jpeg_quality"])
    # Faces of one size and quality are the same in every preset and layout.
    pictures = context.pictures.setdefault(made_with, Pictures(None if made_with is None else made_with[0]))
    if family.kind == "faces":
        return FaceReader(file.path, pictures)
    rows = family.triplets_of(file.number)
    if context.collected is None or rows is None:
        return TripletReader(file.path, pictures, None)
    return TripletReader(file.path, pictures, _wanted(context.collected.triplets.slice(rows.start, len(rows))))


def _wanted(triplets: pa.Table) -> Iterator[examples.Wanted]:
    for batch in triplets.to_batches(max_chunksize=_ROWS):
        columns = (batch[name].to_pylist() for name in (*FACE_COLUMNS, "odd_one_out", "type", "votes"))
        for a, b, c, odd, kind, votes in zip(*columns, strict=True):
            yield (a, b, c), odd, kind, votes


def _wrong_counts(family: Family, file: _File, seen: int, hashed: _Hashed) -> Iterator[str]:
    rows = family.triplets_of(file.number)
    if family.kind != "faces" and rows is not None and seen != len(rows):
        yield f"{seen:,} records where the manifest has {len(rows):,}"
    if file.done is None:
        return
    counted = file.done.counts["faces" if family.kind == "faces" else "triplets"]
    if seen != counted:
        yield f"{seen:,} records where its marker says {counted:,}"
    if hashed.size != file.done.counts["bytes"]:
        yield f"{hashed.size:,} bytes where its marker says {file.done.counts['bytes']:,}"
    elif not hashed.sha256() == file.done.details["sha256"] == file.done.digest:
        yield "not the bytes that its marker was written for"


def _wrong_together(
    family: Family, collected: Collected, read: Mapping[tuple[str, str], face_layout.Files]
) -> Iterator[Fault]:
    """What only all files of a family together, or faces and ids together, can show."""
    files = read[family.preset, family.kind]
    wanted = face_layout.Wanted(collected.triplets.slice(0, family.triplets), collected.faces)
    if family.kind == "ids":
        yield from face_layout.wrong_triplets(files, wanted)
    elif family.kind == "faces":
        yield from face_layout.wrong_faces(files, wanted)
        ids = read.get((family.preset, "ids"))
        if ids is not None and files.complete and ids.complete:
            yield from face_layout.wrong_order(files, ids, wanted)


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
