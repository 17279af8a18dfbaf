"""Where log lines go: JSON objects for programs, a live display for a person, and a copy of events for a watcher.

Everything is said through the standard library's ``logging``, so that lines of other libraries come out alike. In a
pod each line is one JSON object, with the keys that Cloud Logging reads (``severity``, ``message``, ``time``).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final

from fec.errors import ConfigurationError
from fec.log_records import event_of, fields_of

# Names the least severe lines that are logged; events reach a watcher whatever it is.
LEVEL: Final = "FEC_LOG_LEVEL"
LEVELS: Final = ("debug", "info", "warning", "error")
# Names the file to which events are appended, a JSON object a line: made, and read, by who watches this process.
EVENTS: Final = "FEC_EVENTS"

# Our own lines; those of other libraries have other loggers.
LOGGER: Final = logging.getLogger("fec")


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        value: dict[str, Any] = {"time": time, "severity": record.levelname}
        if (name := event_of(record)) is not None:
            value |= {"event": name, "message": record.getMessage(), **fields_of(record)}
        else:
            value |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            value["stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(value, default=str)


def shown_live() -> bool:
    """Whether a person looks at standard error, in a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def start(level: str | None = None, *, others: str | None = None) -> None:
    """Send all that is logged in this process to standard error from now on; again, it only sets ``level``.

    Without ``level`` that of FEC_LOG_LEVEL counts, or else info, with other libraries' lines only from ``others`` on.
    Raises ConfigurationError for a word that is no level.
    """
    root = logging.getLogger()
    found = next((handler for handler in root.handlers if handler.get_name() == LOGGER.name), None)
    first = found is None
    if found is None:
        found = _handler()
        # What an engine or a library installed would say each line once more, in its own way.
        root.handlers = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]
        root.addHandler(found)
        LOGGER.setLevel(logging.INFO)
        _watched()
    asked = level or os.environ.get(LEVEL)
    if level is not None or first:
        wanted = asked or "info"
        if wanted.lower() not in LEVELS:
            raise ConfigurationError(f"log level {wanted!r}: expected one of {', '.join(LEVELS)}")
        found.setLevel(wanted.upper())
        root.setLevel(wanted.upper())
    if others is not None and not asked:
        # On the handler: a library may set the level of its own logger, as kfp's client does with urllib3's.
        found.addFilter(_OursOr(others))


class _OursOr(logging.Filter):
    """Lets our own lines through, and of others' those of ``level`` and worse."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._level = logging.getLevelName(level.upper())

    def filter(self, record: logging.LogRecord) -> bool:
        ours = record.name.partition(".")[0] == LOGGER.name
        return ours or bool(record.levelno >= self._level)


class _StandardError(logging.StreamHandler[Any]):
    """JSON lines on whatever standard error is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _handler() -> logging.Handler:
    handler: logging.Handler | None = None
    if shown_live():
        try:
            from fec.terminal import TerminalHandler
        except ImportError:  # rich is no part of the images
            pass
        else:
            handler = TerminalHandler(sys.stderr)
    if handler is None:
        handler = _StandardError()
        handler.setFormatter(JsonFormatter())
        logging.captureWarnings(True)
    handler.set_name(LOGGER.name)
    return handler


class _EventsFile(logging.Handler):
    """Appends each event to a file, in one write: tasks that work at the same time append to the same one."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._descriptor, f"{self.format(record)}\n".encode())
        except OSError:
            self.handleError(record)


def _watched() -> None:
    """Copy events to the file of a watcher, if there is one."""
    if path := os.environ.get(EVENTS):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:  # a step is not stopped by a watcher that has gone
            LOGGER.warning("%s: %s; nobody is told of progress", path, error.strerror)
        else:
            LOGGER.addHandler(_EventsFile(descriptor))
