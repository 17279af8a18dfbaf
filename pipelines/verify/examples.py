"""What stands in record files, read one record at a time: each kind of file has a reader that notes what is wrong.

A reader's ``see`` takes a record's payload. Where many records of a file have the same thing wrong with them, the
first is named and the others are counted.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from fec import face_records, pixels, records
from fec.records import decode_example
from pipelines.verify.findings import Fault

_ID: Final = re.compile(rb"[0-9a-f]{16}")
_LABELS: Final = (1, 2, 3)
# Rows kept as Python objects before they become columns.
_BATCH: Final = 4096
# datagen makes no larger ones.
_MAX_PIXELS: Final = 1024 * 1024

# A triplet as the manifest has it: ids of a, b, c; odd one out; type; votes.
Wanted = tuple[tuple[str, str, str], int, int, Sequence[int]]

TRIPLETS: Final = pa.schema(
    [
        pa.field("record", pa.int64()),
        *(pa.field(f"face_{letter}", pa.string()) for letter in "abc"),
        pa.field("odd_one_out", pa.int64()),
        pa.field("type", pa.int64()),
        *(pa.field(f"votes_{letter}", pa.int64()) for letter in "abc"),
    ]
)
FACES: Final = pa.schema(
    [
        pa.field("record", pa.int64()),
        pa.field("face_id", pa.string()),
        pa.field("image_id", pa.string()),
        pa.field("crop_sha256", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("detector", pa.string()),
        pa.field("uses", pa.int64()),
    ]
)


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


@dataclass(slots=True)
class _Seen:
    """A picture of a face: its hash, where it was first seen, how often, and other pictures of the same face."""

    key: int
    path: str
    record: int
    times: int = 1
    others: list[_Seen] | None = None


class Pictures:
    """The pictures of faces: each a whole JPEG of ``image_size`` pixels (None: of any), and one for each face.

    A face is in ten triplets, so a picture is decoded once. For several threads.
    """

    def __init__(self, image_size: int | None) -> None:
        self._image_size = image_size
        self._known: dict[bytes, _Seen] = {}
        self._wrong: dict[int, str] = {}
        self._lock = threading.Lock()

    def wrong(self, face_id: bytes, picture: bytes, path: str, record: int) -> str:
        """What is wrong with the picture of a face in a record of the file ``path``; empty if nothing is."""
        key = hash(picture)
        if self._is_new(face_id, _Seen(key, path, record)) and (what := self._wrong_jpeg(picture)):
            self._wrong[key] = what
            return what
        return self._wrong.get(key, "")

    def faults(self) -> Iterator[Fault]:
        """Records in which a face has another picture than in most."""
        for face_id, first in self._known.items():
            if first.others is not None:
                usual, *unusual = sorted([first, *first.others], key=lambda seen: (-seen.times, seen.path, seen.record))
                for seen in unusual:
                    yield Fault(
                        seen.path,
                        f"record {seen.record}: the picture of face {_shown(face_id)} is another one than in "
                        f"{usual.path} and {usual.times - 1:,} more records",
                    )

    def _is_new(self, face_id: bytes, seen: _Seen) -> bool:
        with self._lock:
            known = self._known.setdefault(face_id, seen)
            if known is seen:
                return True
            for other in (known, *(known.others or ())):
                if other.key == seen.key:
                    other.times += 1
                    return False
            known.others = [*(known.others or ()), seen]
            return True

    def _wrong_jpeg(self, picture: bytes) -> str:
        try:
            found = pixels.decode(picture, _MAX_PIXELS)
        except (pixels.Unreadable, pixels.TooManyPixels) as error:
            return f"a picture that is no whole JPEG ({error})"
        height, width, _ = found.rgb.shape
        if found.format != "JPEG":
            return f"a picture that is no JPEG but {found.format}"
        if self._image_size is not None and (width, height) != (self._image_size, self._image_size):
            return f"a picture of {width}x{height} pixels where its marker says {self._image_size}"
        return ""


class TripletReader:
    """Triplets with their faces inside; ``wanted`` are those the file should hold, in order, if that is known."""

    def __init__(self, path: str, pictures: Pictures, wanted: Iterable[Wanted] | None) -> None:
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
    """Triplets that name their faces; ``table`` is what was read (TRIPLETS)."""

    def __init__(self) -> None:
        self.wrong = Wrong()
        self.seen = 0
        self._columns = _Columns(TRIPLETS)

    def see(self, payload: bytes) -> None:
        number, self.seen = self.seen, self.seen + 1
        try:
            example = decode_example(payload)
            ids = _all(example, face_records.FACES, bytes, 3)
            odd, kind = _one(example, records.TRIPLET_CODE, int), _one(example, records.TYPE, int)
            votes = _all(example, face_records.VOTES, int, 3)
        except ValueError as error:
            self.wrong.note("example", number, str(error))
            return
        _note_labels(self.wrong, number, ids, odd, kind)
        if min(votes) < 0 or sum(votes) == 0 or (odd in _LABELS and votes[odd - 1] < max(votes)):
            self.wrong.note("votes", number, f"votes {votes} do not make {odd} the odd one out")
        self._columns.append((number, *(_text(face_id) for face_id in ids), odd, kind, *votes))

    def table(self) -> pa.Table:
        return self._columns.table()


class FaceReader:
    """Faces, each once; ``table`` is what was read (FACES)."""

    def __init__(self, path: str, pictures: Pictures) -> None:
        self.wrong = Wrong()
        self.seen = 0
        self._path = path
        self._pictures = pictures
        self._columns = _Columns(FACES)

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
            self.wrong.note("id", number, f"{_shown(face_id)} is no face id")
        if what := self._pictures.wrong(face_id, picture, self._path, number):
            self.wrong.note("picture", number, what)
        self._columns.append((number, _text(face_id), image_id, sha256, confidence, detector, uses))

    def table(self) -> pa.Table:
        return self._columns.table()


class _Columns:
    """Rows that become columns a batch at a time."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[pa.RecordBatch] = []

    def append(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def table(self) -> pa.Table:
        self._flush()
        return pa.Table.from_batches(self._batches, self._schema)

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
            self._batches.append(pa.record_batch(arrays, schema=self._schema))
            self._rows.clear()


def _note_labels(wrong: Wrong, number: int, ids: Sequence[bytes], odd: int, kind: int) -> None:
    for face_id in ids:
        if not _ID.fullmatch(face_id):
            wrong.note("id", number, f"{_shown(face_id)} is no face id")
    for name, value in ((records.TRIPLET_CODE, odd), (records.TYPE, kind)):
        if value not in _LABELS:
            wrong.note(name, number, f"{name} {value} is not 1..3")


def _note_differences(
    wrong: Wrong, number: int, found: tuple[Sequence[bytes], int, int, Sequence[int]], wanted: Wanted
) -> None:
    ids, odd, kind, votes = found
    if tuple(map(_text, ids)) != wanted[0]:
        shown = " ".join(map(_shown, ids))
        wrong.note("faces", number, f"the faces {shown} where the manifest has {' '.join(wanted[0])}")
    elif (odd, kind, list(votes)) != (wanted[1], wanted[2], list(wanted[3])):
        said = f"{records.TRIPLET_CODE} {wanted[1]}, {records.TYPE} {wanted[2]}, votes {list(wanted[3])}"
        wrong.note(
            "labels",
            number,
            f"{records.TRIPLET_CODE} {odd}, {records.TYPE} {kind}, votes {list(votes)} where the manifest has {said}",
        )


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


def _shown(value: bytes) -> str:
    return _text(value[:40])
