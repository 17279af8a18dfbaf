"""What a host's answer comes to: an outcome, and what it said beside it."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fec.outcomes import ImageOutcome

# The answers whose Retry-After says when the host wants to be asked again; with others it is noise.
_LATER: Final = (429, 503)
_TEXT: Final = 300


@dataclass(frozen=True)
class Limits:
    """``timeout`` is for everything, redirects included; seconds and bytes."""

    timeout: float
    connect_timeout: float
    max_bytes: int
    max_redirects: int
    obey_robots: bool = True


@dataclass(frozen=True)
class Answer:
    """How a fetch ended.

    ``data`` and ``extension`` only for ``fetched``; ``http_status`` is None if no server said anything;
    ``requests`` counts redirects too.
    """

    outcome: ImageOutcome
    detail: str = ""
    data: bytes | None = None
    extension: str = ""
    http_status: int | None = None
    final_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    requests: int = 1
    # The URL that was asked last, and how long its answer took, in seconds.
    asked: str = ""
    latency: float = 0.0
    # What a body that is no image looks like.
    looks: str = ""
    # Whether asking once more could come to anything else.
    repeatable: bool = True

    @property
    def answered(self) -> bool:
        return self.http_status is not None


def failure(status: int, text: str) -> Answer | None:
    """What a status says that comes with no picture; None for one that may."""
    match status:
        case 200 | 201 | 203:
            return None
        case 404 | 410 | 451:
            outcome = ImageOutcome.GONE
        case 408:
            outcome = ImageOutcome.TIMED_OUT
        case 429:
            outcome = ImageOutcome.RATE_LIMITED
        case _ if 500 <= status < 600:
            outcome = ImageOutcome.SERVER_ERROR
        case _:
            outcome = ImageOutcome.REFUSED
    return Answer(outcome, short(text))


def retry_after(status: int, value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3), a number or a date."""
    if not value or status not in _LATER:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def short(text: str, limit: int = _TEXT) -> str:
    printable = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
