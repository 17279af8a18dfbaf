"""The head of an HTTP/1 answer as browsers and curl take it.

What nobody reads is left out; so a line without a colon, a cookie of 20 KB or a letter that may not stand in a name
does no harm. Of lengths that agree one counts, and none beside chunks (RFC 9112, 6.3); lengths that differ are no HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# What is read of an answer; all else is left out.
_READ: Final = frozenset(
    b"connection content-encoding content-length content-type etag last-modified location retry-after "
    b"transfer-encoding x-robots-tag".split()
)
END: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/(\d)(?:\.(\d+))?[ \t]+(\d{3})(?![0-9])[ \t]*([^\r\n]*)", re.IGNORECASE)
SWITCHING: Final = 101
_NO_BODY: Final = (204, 304)
_FRAMING: Final = (b"content-length", b"transfer-encoding", b"connection")
# Digits of a length in bytes that a machine can mean.
_LONGEST_LENGTH: Final = 18


class NotHTTP(Exception):
    """What came is no answer of a web server."""


@dataclass(frozen=True, slots=True)
class Head:
    """``fields`` have lower-case names.

    ``length`` of the body in bytes, None where that is not said; ``chunked``: in chunks. ``last``: nothing that comes
    after it is to be believed, since the server said that it closes the connection, or not properly how long the body
    is.
    """

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    length: int | None
    chunked: bool
    last: bool

    def first(self, name: str) -> str | None:
        """The value of the first field of this name."""
        return next((value for given, value in self.fields if given == name), None)

    def every(self, name: str) -> list[str]:
        """The values of all fields of this name."""
        return [value for given, value in self.fields if given == name]


def read_head(head: bytes) -> Head:
    """What ``head``, up to its empty line, says; raises NotHTTP for what is no head of an answer."""
    lines = _unfolded(head)
    match = _STATUS.fullmatch(lines[0].strip())
    if match is None:
        raise NotHTTP(f"an answer that starts with {lines[0][:40]!r}")
    major, minor, code, reason = match.groups()
    status = int(code)
    fields, framing, odd = _fields(lines[1:])
    said = [value for name, value in framing if name != b"connection"]
    options = {part.strip() for name, value in framing if name == b"connection" for part in value.lower().split(b",")}
    closes = b"close" in options or ((major, minor) == (b"1", b"0") and b"keep-alive" not in options)
    codings = [
        coding
        for name, value in framing
        if name == b"transfer-encoding"
        for part in value.lower().split(b",")
        if (coding := part.strip()) not in (b"", b"identity")
    ]
    chunked = bool(codings) and codings[-1] == b"chunked"
    # What is undone of a body, if it was done at all, whatever name it goes by.
    fields += [("content-encoding", coding.decode("latin-1")) for coding in codings[:-1] if coding != b"chunked"]
    length = None if codings else _length(framing)
    if status in _NO_BODY or 100 <= status < 200:
        length, chunked = 0, False
    last = closes or odd or len(said) > 1 or b"" in said or status == SWITCHING
    return Head(status, reason.decode("utf-8", "surrogateescape"), tuple(fields), length, chunked, last)


def _length(framing: list[tuple[bytes, bytes]]) -> int | None:
    sizes = {part.strip() for name, value in framing if name == b"content-length" for part in value.split(b",")} - {b""}
    if not sizes:
        return None
    size = sizes.pop()
    if sizes or not size.isdigit() or len(size) > _LONGEST_LENGTH:
        raise NotHTTP("lengths that differ" if sizes else f"a body of the length {size[:40]!r}")
    return int(size)


def _unfolded(head: bytes) -> list[bytes]:
    """The lines of ``head``; one that begins with a space goes on with the line before it (RFC 9112, 5.2)."""
    lines: list[bytes] = []
    for line in head.strip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    return lines


def _fields(lines: list[bytes]) -> tuple[list[tuple[str, str]], list[tuple[bytes, bytes]], bool]:
    """The fields that are read, those that say where the body ends, and whether a line was no field at all."""
    fields: list[tuple[str, str]] = []
    framing: list[tuple[bytes, bytes]] = []
    odd = False
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            odd = True
        elif (name := name.strip().lower()) in _READ:
            value = value.strip()
            fields.append((name.decode("ascii"), value.decode("utf-8", "surrogateescape")))
            if name in _FRAMING:
                framing.append((name, value))
    return fields, framing, odd
