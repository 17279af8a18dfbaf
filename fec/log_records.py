"""What a log record tells of an event of ours."""

from __future__ import annotations

import logging
from typing import Any


def event_of(record: logging.LogRecord) -> str | None:
    """The name of the event that the record tells of; None for a line of another library."""
    return getattr(record, "event", None)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What is known of the event beside its message."""
    return getattr(record, "fields", {})
