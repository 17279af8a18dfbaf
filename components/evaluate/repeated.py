"""What the report says of photographs that are there under several URLs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from fec.funnel import Repeated

# What collect counts of them, and what the report calls it.
KINDS: Final = (
    ("same_bytes", "images with the same bytes as another"),
    ("alike", "further images that look nearly the same"),
    ("faces", "verified faces of these, or whose crops look nearly the same"),
)


def values(repeated: Repeated | None) -> dict[str, int | bool] | None:
    """The same for ``metrics.json``."""
    return None if repeated is None else asdict(repeated)


def count(repeated: Repeated | None, name: str) -> str:
    """A number of ``repeated`` for the page; "?" where nobody counted."""
    return "?" if repeated is None else f"{getattr(repeated, name):,}"
