"""Where the body of an answer ends: what comes behind that is nobody's."""

from __future__ import annotations

import re
from typing import Final, Protocol

from components.download.heads import NotHTTP

# Longest line between chunks; what it says beside the size is passed over.
_LONGEST_LINE: Final = 16_384
_SIZE: Final = re.compile(rb"\s*([0-9a-fA-F]{1,15})\s*(?:;.*)?", re.DOTALL)


class Framing(Protocol):
    """Takes a body as it comes."""

    ended: bool
    # Whether something came behind the end.
    more: bool

    def take(self, data: bytes) -> list[bytes]:
        """What of the body is in ``data``; raises NotHTTP for what is no body."""

    def close(self) -> None:
        """The server closed the connection: the end of a body whose length was not said."""


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

    def close(self) -> None:
        self.ended |= self._left is None


class Chunked:
    """A body in chunks, whose lines may end in a line feed alone; trailers are passed over."""

    def __init__(self) -> None:
        self._line = b""
        # Bytes left of the chunk; None between chunks, where a size is next, or the line that ends a chunk.
        self._left: int | None = None
        self._after_chunk = self._in_trailers = False
        self.ended = self.more = False

    def take(self, data: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        while data and not self.ended:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                pieces.append(piece)
                self._after_chunk = not self._left
            else:
                data = self._take_line(data)
        self.more |= bool(data)
        return pieces

    def close(self) -> None:
        """Never the end of chunks, which have one of their own."""

    def _take_line(self, data: bytes) -> bytes:
        line, feed, rest = data.partition(b"\n")
        self._line += line
        if len(self._line) > _LONGEST_LINE:
            raise NotHTTP("a chunk without a size")
        if not feed:
            return b""
        line, self._line = self._line.removesuffix(b"\r"), b""
        if self._in_trailers:
            self.ended = not line
        elif self._after_chunk:
            self._after_chunk = False
            if line:
                raise NotHTTP("a chunk that is longer than its size")
        elif (size := _SIZE.fullmatch(line)) is None:
            raise NotHTTP("a chunk without a size")
        else:
            self._left = int(size[1], 16)
            self._in_trailers = not self._left
        return rest
