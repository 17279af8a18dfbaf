"""How fast hosts were asked, as it was: from when each picture's answer came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.evaluate.losses import SHOWN_HOSTS, Lists, bounded

# The largest rate is that of the busiest stretch of so many seconds.
WINDOW: Final = 10.0


@dataclass(frozen=True)
class HostRate:
    """How a host was asked: answers, seconds from the first to the last, and the most answers a second in WINDOW."""

    name: str
    answers: int
    seconds: float
    largest: float


@dataclass(frozen=True)
class Times:
    """When pictures were fetched, ISO dates of the first and the last answer, and the hosts asked fastest."""

    first: str
    last: str
    hosts: tuple[HostRate, ...]


def times(lists: Mapping[str, Lists]) -> Times:
    """The SHOWN_HOSTS hosts with the largest rates, and when the first and the last answer came.

    A picture counts once, when its last answer came: redirects, attempts before it and robots.txt are not in the
    tables. What was asked of no host (an invalid URL, say) does not count, nor what was asked of a web archive last.
    """
    columns = ["host_key", "finished_at", "attempts", "outcome", "archive"]
    images = pa.concat_tables([one.images.select(columns) for one in lists.values()])
    at_host = pc.and_(pc.is_null(images["archive"]), pc.greater(images["attempts"], 0))
    asked = images.filter(pc.and_(pc.is_valid(images["finished_at"]), at_host))
    asked = asked.sort_by([("host_key", "ascending"), ("finished_at", "ascending")])
    if not len(asked):
        return Times("", "", ())
    seconds = asked["finished_at"].cast(pa.int64()).to_numpy() / 1000
    names, starts = np.unique(asked["host_key"].to_numpy(), return_index=True)
    parts = np.split(seconds, starts[1:])
    rates = [
        HostRate(bounded(str(name)), len(part), float(part[-1] - part[0]), largest_rate(part))
        for name, part in zip(names, parts, strict=True)
    ]
    ranked = sorted(rates, key=lambda rate: (-rate.largest, -rate.answers, rate.name))[:SHOWN_HOSTS]
    first, last = (pc.min_max(asked["finished_at"])[key].as_py() for key in ("min", "max"))
    return Times(first.date().isoformat(), last.date().isoformat(), tuple(ranked))


def largest_rate(seconds: NDArray[np.float64]) -> float:
    """The most of ``seconds``, sorted, that lie within WINDOW of each other, a second."""
    last = np.searchsorted(seconds, seconds + WINDOW, side="left")
    return float((last - np.arange(len(seconds))).max() / WINDOW)
