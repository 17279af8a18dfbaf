"""How far a list of annotations is trusted: malformed rows are said and counted, and too many of them are the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, TypeVar

from fec.errors import ConfigurationError
from fec.progress import event

# A file whose first rows are all malformed is something else.
_FIRST_ROWS: Final = 10
# Before the end, a share is judged only over at least this many rows.
_ENOUGH_ROWS: Final = 1_000
# Malformed rows are said one by one up to here, then only counted.
_SPOKEN: Final = 10


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is not a triplet: its start, printable, and what is wrong with it."""

    line: int
    text: str
    reason: str
    rows: ClassVar[int] = 1


class Good(Protocol):
    """What was read of one row or more: of how many, and how many of their boxes were cut."""

    @property
    def rows(self) -> int: ...

    @property
    def clipped(self) -> int: ...


G = TypeVar("G", bound=Good)


@dataclass
class Tally:
    """What was met in a file: filled in while its triplets are consumed."""

    rows: int = 0
    malformed: int = 0
    clipped_boxes: int = 0


def trusted(rows: Iterable[G | Malformed], source: str, *, max_malformed: float, tally: Tally) -> Iterator[G]:
    """The good ones among ``rows``; ConfigurationError once too many rows are malformed to trust the rest."""
    first: Malformed | None = None
    unspoken: list[Malformed] = []
    for row in rows:
        tally.rows += row.rows
        if not isinstance(row, Malformed):
            tally.clipped_boxes += row.clipped
            if unspoken:
                _say(unspoken)
            yield row
            continue
        tally.malformed += 1
        first = first or row
        if tally.malformed <= _SPOKEN:
            unspoken.append(row)
        if tally.malformed == tally.rows == _FIRST_ROWS:
            break
        if tally.rows >= _ENOUGH_ROWS and tally.malformed > max_malformed * tally.rows:
            break
    if not tally.rows:
        raise ConfigurationError(f"annotations {source}: the file is empty; expected the FEC CSV or its zip")
    if first is None:
        return
    if tally.malformed == tally.rows:
        raise ConfigurationError(
            f"annotations {source}: not an FEC CSV; line {first.line} is {first.text!r} ({first.reason}); expected "
            "three times URL,left,right,top,bottom, then the triplet type, then annotator,vote pairs"
        )
    if tally.malformed > max_malformed * tally.rows:
        raise ConfigurationError(
            f"annotations {source}: {tally.malformed:,} of the first {tally.rows:,} rows are malformed, more than the "
            f"{max_malformed:.2%} allowed; the first is line {first.line} ({first.reason}); mend the file or raise "
            "--max-malformed"
        )
    _say(unspoken)
    message = f"{tally.malformed:,} of {tally.rows:,} rows are malformed and left out"
    event("malformed_rows", message, severity="WARNING", malformed=tally.malformed, rows=tally.rows)


def _say(rows: list[Malformed]) -> None:
    for row in rows:
        message = f"line {row.line} is malformed: {row.reason}"
        event("malformed_row", message, severity="WARNING", line=row.line, reason=row.reason)
    rows.clear()
