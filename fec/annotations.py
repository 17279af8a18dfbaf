"""The FEC annotations: a stream of triplets, and of the lines that are none.

One row is one line: three times (image URL, left, right, top, bottom), the triplet's type, then any
number of (annotator, vote) pairs. There is no header. A vote names the face *least* like the other two.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache, partial
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from fec.annotation_trust import Malformed
from fec.boxes import Box

# Vemulapalli & Agarwala (CVPR 2019) use the triplets on which at least two thirds of the raters agree.
AGREEMENT: Final = 2 / 3
MAX_MALFORMED: Final = 0.01

# Six raters make 28 columns; a real line has about 400 bytes.
MAX_LINE_BYTES: Final = 65_536
MAX_URL_BYTES: Final = 8_192
# Published boxes pass the image's edge by rounding only; more than this is another format.
MAX_OVERSHOOT: Final = 0.05

# Blank lines passed over; one more is a row like any other, and no triplet.
_BLANK_LINES: Final = 100
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_LOWEST, _HIGHEST = -MAX_OVERSHOOT, 1 + MAX_OVERSHOOT


class TripletType(IntEnum):
    """How many expression classes the three faces were drawn from."""

    ONE_CLASS_TRIPLET = 1
    TWO_CLASS_TRIPLET = 2
    THREE_CLASS_TRIPLET = 3


TYPES: Final = {kind.name: kind for kind in TripletType}
VOTES: Final = {"1": 1, "2": 2, "3": 3}

_Three: TypeAlias = tuple[str, str, str]
# A row in parts: the URLs; the boxes, each with the commas around it; the type and the pairs.
_Parts: TypeAlias = tuple[_Three, _Three, list[str]]


class Triplet(NamedTuple):
    """One row: three faces as (URL, box), and what the annotators said of them.

    ``line`` is the 1-based line of the file. ``votes`` and ``annotators`` are in the row's order, one each a
    rater; a vote is 1..3. ``clipped`` counts the boxes that passed the image's edge a little and were cut to it.
    """

    line: int
    urls: tuple[str, str, str]
    boxes: tuple[Box, Box, Box]
    type: TripletType
    votes: tuple[int, ...]
    annotators: tuple[str, ...]
    clipped: int = 0

    @property
    def rows(self) -> int:
        return 1


@dataclass
class Place:
    """How far a file was read: the last line, the blank ones so far, and whether that line left a quote open."""

    line: int = 0
    blank: int = 0
    open_quote: bool = False


def read_rows(file: BinaryIO) -> Iterator[Triplet | Malformed]:
    """Each line of an open CSV as a triplet or as malformed; a hundred blank lines are passed over."""
    return rows_of(file, Place())


def rows_of(file: BinaryIO, place: Place) -> Iterator[Triplet | Malformed]:
    """The same of lines that go on at ``place``, which is kept up to date."""
    for raw in iter(partial(file.readline, MAX_LINE_BYTES), b""):
        place.line += 1
        number = place.line
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            for rest in iter(partial(file.readline, MAX_LINE_BYTES), b""):
                if rest.endswith(b"\n"):
                    break
            yield Malformed(number, printable(raw), f"longer than {MAX_LINE_BYTES} bytes")
        elif row := (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).strip(b" \t\r\n"):
            odd = row.count(b'"') % 2 == 1
            if odd and place.open_quote:  # what a quoted line break has torn off the row before
                found: Triplet | Malformed = Malformed(number, printable(row), "the rest of the line before")
            else:
                found = parse_row(number, row)
            place.open_quote = odd and not place.open_quote and isinstance(found, Malformed)
            yield found
        else:
            place.blank += 1
            if place.blank > _BLANK_LINES:
                yield Malformed(number, "", "blank")


def parse_row(line: int, raw: bytes) -> Triplet | Malformed:
    """One row, without its line ending, as a triplet or as malformed."""
    try:
        # What writes rows of one length fills them up with empty fields.
        text = raw.decode().rstrip(", \t")
        try:
            if len(raw) > MAX_URL_BYTES or not text.isprintable():
                raise ValueError("to be looked at closely")
            return _triplet(line, *_split_as_published(text))
        except ValueError:
            urls, boxes, tail = _split(text)
            _check_texts(urls, tail[1::2])
            return _triplet(line, urls, boxes, tail)
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except (csv.Error, ValueError) as error:
        reason = printable(str(error))
    return Malformed(line, printable(raw), reason)


def printable(text: str | bytes, limit: int = 120) -> str:
    """At most ``limit`` characters of hostile text, as one line that is safe to show."""
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode(errors="replace")
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return shown + "..." if len(text) > limit else shown


@lru_cache(maxsize=65_536)
def consensus(votes: tuple[int, ...], agreement: float = AGREEMENT) -> int | None:
    """The face (1..3) that at least ``agreement`` of ``votes`` name, or None; a tie is no consensus.

    ``agreement`` is taken as the nearest fraction with a denominator up to 100, so that 4 of 6 votes pass 2/3 and
    0.667, and 4 of 5 pass 0.8, whatever a float makes of them.
    """
    counts = sorted(((votes.count(face), face) for face in set(votes)), reverse=True)
    most, face = counts[0]
    if len(counts) > 1 and counts[1][0] == most:
        return None
    return face if Fraction(most, len(votes)) >= Fraction(agreement).limit_denominator(100) else None


def _split_as_published(text: str) -> _Parts:
    """The parts of a row whose three URLs, and nothing else, are quoted; ValueError for any other form.

    Gives what ``_split`` does at a quarter of the cost; half a million rows are worth it.
    """
    start, one, box_one, two, box_two, three, rest = text.split('"')
    box_three_and_tail = rest.split(",", 5)
    tail = box_three_and_tail.pop()
    if start or ", " in text:
        raise ValueError("not the published form")
    return (
        (one.strip(), two.strip(), three.strip()),
        (box_one, box_two, rest[: len(rest) - len(tail)]),
        tail.split(","),
    )


def _split(text: str) -> _Parts:
    """The parts of a row in any form the csv module reads."""
    # A reader a row: an unbalanced quote spoils its own line and no other.
    fields = next(csv.reader((text,), strict=True, skipinitialspace=True))
    if len(fields) < 15:
        raise ValueError(f"{len(fields)} columns; expected 18 or more")
    one, two, three = (f",{','.join(fields[start : start + 4])}," for start in (1, 6, 11))
    return (fields[0].strip(), fields[5].strip(), fields[10].strip()), (one, two, three), fields[15:]


def _triplet(line: int, urls: _Three, boxes: _Three, tail: list[str]) -> Triplet:
    if len(tail) < 3 or not len(tail) % 2:
        raise ValueError(f"{len(tail)} columns from the type on; expected it and then annotator,vote pairs")
    if not (urls[0] and urls[1] and urls[2]):
        raise ValueError("an image URL is empty")
    one, cut_one = _box(boxes[0])
    two, cut_two = _box(boxes[1])
    three, cut_three = _box(boxes[2])
    kind = TYPES.get(tail[0]) or TYPES.get(tail[0].strip())
    if kind is None:
        raise ValueError(f"triplet type {printable(tail[0], 40)!r}; expected one of {', '.join(TYPES)}")
    try:
        votes = tuple([VOTES[vote] for vote in tail[2::2]])
    except KeyError:
        votes = tuple(map(_vote, tail[2::2]))
    if (
        (urls[0] == urls[1] and one == two)
        or (urls[1] == urls[2] and two == three)
        or (urls[0] == urls[2] and one == three)
    ):
        raise ValueError("two faces of the triplet are the same")
    return Triplet(line, urls, (one, two, three), kind, votes, tuple(tail[1::2]), cut_one + cut_two + cut_three)


def box_in(text: str) -> tuple[Box, int]:
    """``,left,right,top,bottom,`` as a box within 0..1; and 1 if it passed the image's edge a little and was cut."""
    try:
        before, *numbers, after = text.split(",")
        if before or after:
            raise ValueError
        edges = left, right, top, bottom = tuple(map(float, numbers))
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return Box(left + 0.0, right, top + 0.0, bottom), 0  # no -0.0, which is written otherwise
        left, right, top, bottom = (min(max(0.0, edge), 1.0) for edge in edges)
    except ValueError:
        raise ValueError("a box is not four numbers") from None
    # NaN passes no comparison.
    if not all(_LOWEST <= edge <= _HIGHEST for edge in edges) or left >= right or top >= bottom:
        raise ValueError("a box is not left < right and top < bottom within 0..1")
    return Box(left, right, top, bottom), int(any(edge < 0 or edge > 1 for edge in edges))


# A face is in ten rows on average, and the published split has 156,000: the cache saves most of the work.
_box = lru_cache(maxsize=200_000)(box_in)


def _vote(text: str) -> int:
    # 1.0 is what a 1 becomes in a column that has gaps.
    vote = VOTES.get(text.strip().removesuffix(".0"))
    if vote is None:
        raise ValueError(f"vote {printable(text, 20)!r}; expected 1, 2 or 3")
    return vote


def _check_texts(urls: tuple[str, ...], annotators: list[str]) -> None:
    for url in urls:
        if len(url.encode()) > MAX_URL_BYTES:
            raise ValueError(f"an image URL is longer than {MAX_URL_BYTES} bytes")
    if any(_CONTROL.search(text) for text in (*urls, *annotators)):
        raise ValueError("a control character in an image URL or annotator")
