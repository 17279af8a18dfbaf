"""Sets of indexes as Kubernetes writes them: ``1,3-5``."""

from __future__ import annotations

from collections.abc import Iterable


def parse_indexes(text: str) -> tuple[int, ...]:
    """The indexes in ``1,3-5``, rising; raises ValueError for anything else."""
    found: set[int] = set()
    for part in text.split(",") if text else []:
        first, dash, last = part.partition("-")
        start, end = int(first), int(last) if dash else int(first)
        if not 0 <= start <= end:
            raise ValueError(f"not a range of indexes: {part!r}")
        found.update(range(start, end + 1))
    return tuple(sorted(found))


def show_indexes(indexes: Iterable[int]) -> str:
    """The same the other way round: neighbours as ranges."""
    ranges: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
