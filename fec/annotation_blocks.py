"""Rows of the annotations many at a time: a stretch of rows in the published form is taken apart as a whole.

What a stretch comes to is what its rows come to one by one (``fec.annotations.parse_row``), at a third of the cost; a
stretch in which anything is in another form is read row by row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import eq
from typing import BinaryIO, Final

from fec.annotation_trust import Malformed, Tally, trusted
from fec.annotations import MAX_LINE_BYTES, MAX_MALFORMED, TYPES, VOTES, Place, Triplet, box_of, rows_of
from fec.annotations_source import opened
from fec.boxes import Box

# Bytes taken apart at a time: some 300 rows.
_STRETCH: Final = 1 << 17
# URLs of more characters are looked at closely.
_LONG_URL: Final = 2_000
# Quotes of a row: two a URL.
_QUOTES: Final = 6
_CODES: Final = {name: int(kind) for name, kind in TYPES.items()}


@dataclass(frozen=True)
class Block:
    """Triplets in columns, as ``fec.annotations.Triplet`` has them.

    ``urls`` and ``boxes``: three a row. ``votes`` and ``annotators``: one each a rater, of whom a row has
    ``raters``. ``clipped``: boxes that were cut, of all rows.
    """

    lines: Sequence[int]
    urls: Sequence[str]
    boxes: Sequence[Box]
    types: Sequence[int]
    raters: Sequence[int]
    votes: Sequence[int]
    annotators: Sequence[str]
    clipped: int = 0

    @property
    def rows(self) -> int:
        return len(self.lines)


def read_blocks(
    source: str, split: str, *, max_malformed: float = MAX_MALFORMED, tally: Tally | None = None
) -> Iterator[Block]:
    """What ``fec.annotations.read_triplets`` gives, many at a time."""
    try:
        with opened(source, split) as file:
            yield from trusted(blocks_of(file), source, max_malformed=max_malformed, tally=tally or Tally())
    finally:
        box_of.cache_clear()  # as large as what is kept of the boxes


def blocks_of(file: BinaryIO) -> Iterator[Block | Malformed]:
    """Every line of an open CSV, in order, as part of a block or as malformed."""
    place = Place()
    for stretch in _stretches(file):
        block = None if place.open_quote else _published(stretch, place.line + 1)
        if block is None:
            yield from _one_by_one(rows_of(io.BytesIO(stretch), place))
        else:
            place.line += block.rows
            yield block


def _one_by_one(rows: Iterable[Triplet | Malformed]) -> Iterator[Block | Malformed]:
    for row in rows:
        if isinstance(row, Malformed):
            yield row
        else:
            votes, annotators = row.votes, row.annotators
            yield Block([row.line], row.urls, row.boxes, [row.type], [len(votes)], votes, annotators, row.clipped)


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


def _published(stretch: bytes, line: int) -> Block | None:
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
            or not text.replace("\n", "").isprintable()
            or any(odd in text for odd in (", ", '" ', ' "'))
        ):
            return None
        tails = [end.split(",", 5)[5] for end in ends]
        last = [end[: len(end) - len(tail)] for end, tail in zip(ends, tails, strict=True)]
        urls, boxes = _interleaved(one, two, three), _interleaved(parts[1::6], parts[3::6], last)
        found = list(map(box_of, boxes))
        types, raters, annotators, votes = _judged(tails)
    except (UnicodeDecodeError, ValueError, IndexError, KeyError):
        return None
    if not all(urls) or max(map(len, urls)) > _LONG_URL:
        return None
    block = Block(
        range(line, line + count),
        urls,
        [box for box, _ in found],
        types,
        raters,
        votes,
        annotators,
        sum([cut for _, cut in found]),
    )
    return None if _has_a_face_twice(block) else block


def _interleaved(one: list[str], two: list[str], three: list[str]) -> list[str]:
    together = [""] * (3 * len(one))
    together[0::3], together[1::3], together[2::3] = one, two, three
    return together


def _judged(tails: list[str]) -> tuple[list[int], list[int], list[str], list[int]]:
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
    return types, raters, annotators, [VOTES[vote] for vote in votes]


def _has_a_face_twice(block: Block) -> bool:
    urls, boxes = block.urls, block.boxes
    for a, b in ((0, 1), (1, 2), (0, 2)):
        if any(map(eq, urls[a::3], urls[b::3])):
            faces, others = zip(urls[a::3], boxes[a::3], strict=True), zip(urls[b::3], boxes[b::3], strict=True)
            if any(map(eq, faces, others)):
                return True
    return False
