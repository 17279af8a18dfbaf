"""What stands in record files, read one record at a time: each kind of file has a reader that notes what is wrong.

A reader's ``see`` takes a record's payload. Where many records of a file have the same thing wrong with them, the
first is named and the others are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa

from fec import face_records, records, tables
from fec.records import decode_example
from fec.rows import CollectedTriplet, Float32
from pipelines.verify.pictures import Pictures, shown

_ID: Final = re.compile(rb"[0-9a-f]{16}")
_LABELS: Final = (1, 2, 3)
# Rows kept as Python objects before they become columns.
_BATCH: Final = 4096

R = TypeVar("R")


@dataclass(frozen=True)
class IdTriplet:
    """A triplet that names its faces, as a record has it: the record's number in its file, and the votes for each."""

    record: int
    face_a: str
    face_b: str
    face_c: str
    odd_one_out: int
    type: int
    votes_a: int
    votes_b: int
    votes_c: int


@dataclass(frozen=True)
class Face:
    """A face, as a record has it."""

    record: int
    face_id: str
    image_id: str
    crop_sha256: str
    confidence: Float32
    detector: str
    uses: int


class Wrong:
    """Things that are wrong with the records of one file: of each kind the first, and how many there are."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._count: dict[str, int] = {}

    def note(self, kind: str, record: int, what: str) -> None:
        self._first.setdefault(kind, f"record {record}: {what}")
        self._count[kind] = self._count.get(kind, 0) + 1

    def __iter__(self) -> Iterator[str]:
        for kind, first in self._first.items():
            others = self._count[kind] - 1
            yield first + (f" (and {others:,} more records like it)" if others else "")


class TripletReader:
    """Triplets with their faces inside; ``wanted`` are those the file should hold, in order, if that is known."""

    def __init__(self, path: str, pictures: Pictures, wanted: Iterable[CollectedTriplet] | None) -> None:
        self.wrong = Wrong()
        self.seen = 0
        self._path = path
        self._pictures = pictures
        self._wanted = None if wanted is None else iter(wanted)

    def see(self, payload: bytes) -> None:
        number, self.seen = self.seen, self.seen + 1
        wanted = None if self._wanted is None else next(self._wanted, None)
        try:
            example = decode_example(payload)
            ids = [_one(example, name, bytes) for name in records.IMAGE_IDS]
            pictures = [_one(example, name, bytes) for name in records.IMAGES]
            odd, kind = _one(example, records.TRIPLET_CODE, int), _one(example, records.TYPE, int)
            votes = _all(example, records.RATING_ALL, int)
            mean, mode = _one(example, records.RATING_MEAN, float), _one(example, records.RATING_MODE, int)
        except ValueError as error:
            self.wrong.note("example", number, str(error))
            return
        for face_id, picture in zip(ids, pictures, strict=True):
            if what := self._pictures.wrong(face_id, picture, self._path, number):
                self.wrong.note("picture", number, what)
        _note_labels(self.wrong, number, ids, odd, kind)
        if any(vote not in _LABELS for vote in votes):
            self.wrong.note("votes", number, f"{records.RATING_ALL} {votes} are not 1..3")
        elif not abs(mean - sum(votes) / len(votes)) < 1e-6 or votes.count(mode) < max(map(votes.count, votes)):
            self.wrong.note("ratings", number, f"mean {mean:.3f} or mode {mode} is not that of the votes {votes}")
        if wanted is not None:
            _note_differences(self.wrong, number, (ids, odd, kind, votes), wanted)


class IdTripletReader:
    """Triplets that name their faces; ``table`` is what was read (IdTriplet)."""

    def __init__(self) -> None:
        self.wrong = Wrong()
        self.seen = 0
        self._columns = _Columns(IdTriplet)

    def see(self, payload: bytes) -> None:
        number, self.seen = self.seen, self.seen + 1
        try:
            example = decode_example(payload)
            ids = _all(example, face_records.FACE_IDS, bytes, 3)
            odd, kind = _one(example, records.TRIPLET_CODE, int), _one(example, records.TYPE, int)
            votes = _all(example, face_records.VOTES, int, 3)
        except ValueError as error:
            self.wrong.note("example", number, str(error))
            return
        _note_labels(self.wrong, number, ids, odd, kind)
        if min(votes) < 0 or sum(votes) == 0 or (odd in _LABELS and votes[odd - 1] < max(votes)):
            self.wrong.note("votes", number, f"votes {votes} do not make {odd} the odd one out")
        a, b, c = map(_text, ids)
        self._columns.append(IdTriplet(number, a, b, c, odd, kind, *votes))

    def table(self) -> pa.Table:
        return self._columns.table()


class FaceReader:
    """Faces, each once; ``table`` is what was read (Face)."""

    def __init__(self, path: str, pictures: Pictures) -> None:
        self.wrong = Wrong()
        self.seen = 0
        self._path = path
        self._pictures = pictures
        self._columns = _Columns(Face)

    def see(self, payload: bytes) -> None:
        number, self.seen = self.seen, self.seen + 1
        try:
            example = decode_example(payload)
            face_id, picture = (_one(example, name, bytes) for name in (face_records.FACE_ID, face_records.IMAGE))
            texts = (face_records.IMAGE_ID, face_records.SHA256, face_records.DETECTOR)
            image_id, sha256, detector = (_text(_one(example, name, bytes)) for name in texts)
            confidence = _one(example, face_records.CONFIDENCE, float)
            uses = _one(example, face_records.USES, int)
        except ValueError as error:
            self.wrong.note("example", number, str(error))
            return
        if not _ID.fullmatch(face_id):
            self.wrong.note("id", number, f"{shown(face_id)} is no face id")
        if what := self._pictures.wrong(face_id, picture, self._path, number):
            self.wrong.note("picture", number, what)
        self._columns.append(Face(number, _text(face_id), image_id, sha256, confidence, detector, uses))

    def table(self) -> pa.Table:
        return self._columns.table()


class _Columns(Generic[R]):
    """Rows that become columns a batch at a time."""

    def __init__(self, row: type[R]) -> None:
        self._row = row
        self._waiting: list[R] = []
        self._tables: list[pa.Table] = []

    def append(self, row: R) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def table(self) -> pa.Table:
        self._flush()
        return pa.concat_tables(self._tables)

    def _flush(self) -> None:
        self._tables.append(tables.from_rows(self._waiting, self._row))
        self._waiting = []


def _note_labels(wrong: Wrong, number: int, ids: Sequence[bytes], odd: int, kind: int) -> None:
    for face_id in ids:
        if not _ID.fullmatch(face_id):
            wrong.note("id", number, f"{shown(face_id)} is no face id")
    for name, value in ((records.TRIPLET_CODE, odd), (records.TYPE, kind)):
        if value not in _LABELS:
            wrong.note(name, number, f"{name} {value} is not 1..3")


def _note_differences(
    wrong: Wrong,
    number: int,
    found: tuple[Sequence[bytes], int, int, Sequence[int]],
    wanted: CollectedTriplet,
) -> None:
    ids, odd, kind, votes = found
    if tuple(map(_text, ids)) != wanted.faces:
        named = " ".join(map(shown, ids))
        wrong.note("faces", number, f"the faces {named} where the manifest has {' '.join(wanted.faces)}")
    elif (odd, kind, list(votes)) != (wanted.odd_one_out, wanted.type, wanted.votes):
        here, there = _labels(odd, kind, votes), _labels(wanted.odd_one_out, wanted.type, wanted.votes)
        wrong.note("labels", number, f"{here} where the manifest has {there}")


def _labels(odd: int, kind: int, votes: Sequence[int]) -> str:
    return f"{records.TRIPLET_CODE} {odd}, {records.TYPE} {kind}, votes {list(votes)}"


def _all(example: Mapping[str, Sequence[Any]], name: str, kind: type, count: int = 0) -> list[Any]:
    """The values of a feature, ``count`` of them if that is given; ValueError if they are not of ``kind``."""
    values = list(example.get(name, []))
    if not values or not all(isinstance(value, kind) for value in values) or count not in (0, len(values)):
        raise ValueError(f"{name} is missing, or not {count or 'some'} of {kind.__name__}")
    if kind is int and not all(-(2**63) <= value < 2**63 for value in values):
        raise ValueError(f"{name} has a number of more than 64 bits")
    return values


def _one(example: Mapping[str, Sequence[Any]], name: str, kind: type) -> Any:
    return _all(example, name, kind, 1)[0]


def _text(value: bytes) -> str:
    return value.decode("ascii", errors="backslashreplace")
