"""Where the body of an answer ends: what comes behind that is nobody's."""

from __future__ import annotations

import re
from typing import Final, Protocol

# Longest line between chunks; what it says beside the size is passed over.
_LONGEST_LINE: Final = 16_384
_SIZE: Final = re.compile(rb"\s*([0-9a-fA-F]{1,15})\s*(?:;.*)?", re.DOTALL)


class Framing(Protocol):
    """Takes a body as it comes."""

    ended: bool
    # Whether something came behind the end.
    more: bool

    def take(self, data: bytes) -> list[bytes]:
        """``data`` without what lies behind the end, as the parser is given it."""


class Sized:
    """A body of a length said before; without one to the end of the connection."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.ended = length == 0
        self.more = False

    def take(self, data: bytes) -> list[bytes]:
        if self._left is None:
            return [data]
        piece = data if len(data) <= self._left else data[: self._left]
        self._left -= len(piece)
        self.ended = self._left == 0
        self.more |= len(piece) < len(data)
        return [piece] if piece else []


class Chunked:
    """A body in chunks, whose lines may end in a line feed alone; trailers are passed over."""

    def __init__(self) -> None:
        self._line = b""
        # Bytes left of the chunk; None between chunks, where a size is next, or the line that ends a chunk.
        self._left: int | None = None
        self._after_chunk = self._in_trailers = self._broken = False
        self.ended = self.more = False

    def take(self, data: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        while data and not self.ended:
            if self._broken:
                return [*pieces, data]
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                pieces.append(piece)
                if not self._left:
                    self._after_chunk = True
                    pieces.append(b"\r\n")
            else:
                data = self._take_line(data, pieces)
        self.more |= bool(data)
        return pieces

    def _take_line(self, data: bytes, pieces: list[bytes]) -> bytes:
        line, feed, rest = data.partition(b"\n")
        self._line += line
        if len(self._line) > _LONGEST_LINE:
            self._break(pieces)
        if not feed:
            return b""
        line, self._line = self._line.removesuffix(b"\r"), b""
        if self._in_trailers:
            if not line:
                self.ended = True
                pieces.append(b"\r\n")
        elif self._after_chunk:
            self._after_chunk = False
            if line:
                self._break(pieces)
        elif (size := _SIZE.fullmatch(line)) is None:
            self._break(pieces)
        else:
            self._left = int(size[1], 16)
            self._in_trailers = not self._left
            pieces.append(b"%x\r\n" % self._left)
        return rest

    def _break(self, pieces: list[bytes]) -> None:
        """What is no chunk is for the parser to refuse."""
        self._broken = True
        pieces.append(b"no chunk\r\n")
