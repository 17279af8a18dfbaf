"""Rows of the annotations many at a time: a stretch of rows in the published form is taken apart as a whole.

What a stretch comes to is what its rows come to one by one (``fec.annotations.parse_row``), at a third of the cost; a
stretch in which anything is in another form is read row by row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import BinaryIO, Final

import numpy as np

from fec.annotation_faces import Faces
from fec.annotation_trust import Malformed, Tally, trusted
from fec.annotations import MAX_LINE_BYTES, MAX_MALFORMED, TYPES, Place, Triplet, rows_of
from fec.annotations_source import opened

# Bytes taken apart at a time: some 300 rows.
_STRETCH: Final = 1 << 17
# URLs of more characters are looked at closely.
_LONG_URL: Final = 2_000
# Quotes of a row: two a URL.
_QUOTES: Final = 6
# The code of the first character that can be seen, a space, and of the one behind those of ASCII.
_SPACE: Final = 0x20
_DELETE: Final = 0x7F
_VOTES: Final = bytes.maketrans(b"123", b"\1\2\3")
_CODES: Final = {name: int(kind) for name, kind in TYPES.items()}


@dataclass(frozen=True)
class Block:
    """Triplets in columns, as ``fec.annotations.Triplet`` has them.

    ``faces``: three a row, by their numbers in ``fec.annotation_faces.Faces``. ``votes`` and ``annotators``: one each a
    rater, of whom a row has ``raters``. ``clipped``: boxes that were cut, of all rows.
    """

    lines: Sequence[int]
    faces: Sequence[int]
    types: Sequence[int]
    raters: Sequence[int]
    votes: Sequence[int]
    annotators: Sequence[str]
    clipped: int = 0

    @property
    def rows(self) -> int:
        return len(self.lines)


def read_blocks(
    source: str, split: str, faces: Faces, *, max_malformed: float = MAX_MALFORMED, tally: Tally | None = None
) -> Iterator[Block]:
    """Every triplet of ``source`` in file order, many at a time; malformed rows are reported, counted and left out.

    ``faces`` comes to know the faces of the triplets that were given.

    ``source`` is a CSV or the published zip: a local path or an http(s), gs or s3 URL. ``max_malformed`` is the
    share of malformed rows, 0..1, up to which the file is still trusted. Raises ConfigurationError for a source
    that cannot be read or is no FEC CSV, RunFailed where the network failed.
    """
    with opened(source, split) as file:
        yield from trusted(blocks_of(file, faces), source, max_malformed=max_malformed, tally=tally or Tally())


def blocks_of(file: BinaryIO, faces: Faces) -> Iterator[Block | Malformed]:
    """Every line of an open CSV, in order, as part of a block or as malformed."""
    place = Place()
    for stretch in _stretches(file):
        block = None if place.open_quote else _published(stretch, place.line + 1, faces)
        if block is None:
            yield from _one_by_one(rows_of(io.BytesIO(stretch), place), faces)
        else:
            place.line += block.rows
            yield block


def _one_by_one(rows: Iterable[Triplet | Malformed], faces: Faces) -> Iterator[Block | Malformed]:
    for row in rows:
        if isinstance(row, Malformed):
            yield row
        else:
            votes, annotators = row.votes, row.annotators
            three = list(map(faces.number, row.urls, row.boxes))
            yield Block([row.line], three, [row.type], [len(votes)], votes, annotators, row.clipped)


def _stretches(file: BinaryIO) -> Iterator[bytes]:
    """Some whole lines at a time, the last with a line feed too; of a line without end only as much as tells it."""
    rest, dropping = b"", False
    while came := file.read(_STRETCH):
        if dropping:
            _, dropping_ends, came = came.partition(b"\n")
            dropping = not dropping_ends
        rest += came
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
        if len(rest) >= MAX_LINE_BYTES:
            yield rest[:MAX_LINE_BYTES]
            rest, dropping = b"", True
    if rest:
        yield rest + b"\n"


def _published(stretch: bytes, line: int, faces: Faces) -> Block | None:
    """The rows of ``stretch``, the first of which is ``line``; None if anything in it is not in the published form."""
    try:
        text = stretch.decode()
        count = text.count("\n")
        start, *parts = text.split('"')
        one, two, three, ends = parts[0::6], parts[2::6], parts[4::6], parts[5::6]
        if (
            start
            or len(parts) != _QUOTES * count
            or not all(map(str.endswith, ends, repeat("\n")))
            or not _printable(stretch, text, count)
            or (" " in text and any(odd in text for odd in (", ", '" ', ' "')))
        ):
            return None
        tails = [end.split(",", 5)[5] for end in ends]
        last = [end[: len(end) - len(tail)] for end, tail in zip(ends, tails, strict=True)]
        urls, boxes = _interleaved(one, two, three), _interleaved(parts[1::6], parts[3::6], last)
        if not all(urls) or max(map(len, urls)) > _LONG_URL:
            return None
        types, raters, annotators, votes = _judged(tails)
        found, clipped = faces.written(urls, boxes)
    except (UnicodeDecodeError, ValueError, IndexError, KeyError):
        return None
    return Block(range(line, line + count), found, types, raters, votes, annotators, clipped)


def _printable(stretch: bytes, text: str, lines: int) -> bool:
    """Whether ``text``, what ``stretch`` is, has no character that is not to be seen but the ends of its lines."""
    codes = np.frombuffer(stretch, np.uint8)
    if codes.max() < _DELETE:
        return int(np.count_nonzero(codes < _SPACE)) == lines
    return text.replace("\n", "").isprintable()


def _interleaved(one: list[str], two: list[str], three: list[str]) -> list[str]:
    together = [""] * (3 * len(one))
    together[0::3], together[1::3], together[2::3] = one, two, three
    return together


def _judged(tails: list[str]) -> tuple[list[int], list[int], list[str], bytes]:
    """Types, raters a row, annotators and votes; ValueError or KeyError for another form."""
    types, raters = [], []
    annotators: list[str] = []
    votes: list[str] = []
    for tail in tails:
        fields = tail[:-1].split(",")
        if len(fields) < 3 or not len(fields) % 2:
            raise ValueError("not a type and pairs")
        types.append(_CODES[fields[0]])
        raters.append(len(fields) // 2)
        annotators += fields[1::2]
        votes += fields[2::2]
    together = "".join(votes)
    if len(together) != len(votes) or not all(votes) or together.strip("123"):
        raise ValueError("not votes of one figure each")
    return types, raters, annotators, together.encode().translate(_VOTES)
