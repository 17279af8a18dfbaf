"""The head of an HTTP/1 answer as browsers and curl take it, made into one that a strict parser takes too.

What nobody reads is left out; so a line without a colon, a cookie of 20 KB or a letter that may not stand in a name
does no harm. Of lengths that agree one is kept, and none beside chunks (RFC 9112, 6.3); lengths that differ are left to
the parser, which refuses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# What is read of an answer; all else is left out.
READ: Final = frozenset(
    b"connection content-encoding content-length content-type etag keep-alive last-modified location retry-after "
    b"transfer-encoding x-robots-tag".split()
)
END: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/(\d)(?:\.(\d+))?[ \t]+(\d{3})(?![0-9])[ \t]*([^\r\n]*)", re.IGNORECASE)
_LINE: Final = re.compile(rb"\r?\n")
_NO_BODY: Final = (204, 304)


@dataclass(frozen=True)
class Head:
    """``text`` is what the parser is given.

    ``length`` of the body in bytes, None where that is not said; ``chunked``: in chunks. ``mended``: how long the body
    is was not said as it should be, so that nothing after it is to be believed.
    """

    text: bytes
    status: int
    length: int | None = None
    chunked: bool = False
    mended: bool = False


def mended(head: bytes) -> Head | None:
    """``head``, up to its empty line, as it was meant; None for what is no head of an answer."""
    lines = _unfolded(head)
    match = _STATUS.fullmatch(lines[0].strip()) if lines else None
    if match is None:
        return None
    major, minor, code, reason = match.groups()
    status = int(code)
    version = b"HTTP/1.0" if (major, minor) == (b"1", b"0") else b"HTTP/1.1"
    fields, odd = _fields(lines[1:])
    said = [value for name, value in fields if name in (b"content-length", b"transfer-encoding")]
    sizes = {part.strip() for name, value in fields if name == b"content-length" for part in value.split(b",")} - {b""}
    codings = [
        coding
        for name, value in fields
        if name == b"transfer-encoding"
        for part in value.lower().split(b",")
        if (coding := part.strip()) not in (b"", b"identity")
    ]
    chunked = bool(codings) and codings[-1] == b"chunked"
    kept = [(name, value) for name, value in fields if name not in (b"content-length", b"transfer-encoding")]
    kept += [(b"transfer-encoding", coding) for coding in codings[-1:]]
    # What is undone of a body, if it was done at all, whatever name it goes by.
    kept += [(b"content-encoding", coding) for coding in codings[:-1] if coding != b"chunked"]
    length = None
    if len(sizes) == 1 and (size := next(iter(sizes))).isdigit() and len(size) < 19:
        length = int(size)
    if not chunked:
        kept += [(b"content-length", size) for size in sorted(sizes)]
    text = b"".join([version, b" ", code, b" ", reason, b"\r\n", *(b"%b: %b\r\n" % field for field in kept), b"\r\n"])
    if status in _NO_BODY or 100 <= status < 200:
        length, chunked = 0, False
    return Head(text, status, None if chunked else length, chunked, odd or len(said) > 1 or b"" in said)


def _unfolded(head: bytes) -> list[bytes]:
    """The lines of ``head``; one that begins with a space goes on with the line before it (RFC 9112, 5.2)."""
    lines: list[bytes] = []
    for line in _LINE.split(head.strip(b"\r\n")):
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    return lines


def _fields(lines: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The header fields that are read, and whether a line was none at all."""
    fields, odd = [], False
    for line in lines:
        name, colon, value = line.partition(b":")
        odd |= not colon
        if colon and (name := name.strip().lower()) in READ:
            fields.append((name, value.strip()))
    return fields, odd
