"""One connection to a server: one request after another, each with its own answer and nothing that came beside it."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from typing import Final, cast

from components.download.framing import Chunked, Framing, Sized
from components.download.heads import END, SWITCHING, Head, NotHTTP, read_head

# curl's limit on all of a head is 300 KB.
LONGEST_HEAD: Final = 300 << 10
# What is taken in of a body before it is known how much of it is wanted: most images whole.
_AHEAD: Final = 1 << 18
_START: Final = b"HTTP/"


class Closed(Exception):
    """The server closed the connection before its answer was whole."""


class Exchange(asyncio.Protocol):
    """A connection on which anything was not as it should be, or something came that nobody asked for, is closed.

    One request at a time: ``ask``, ``read`` as much of the body as is wanted, ``taken``. ``size`` is how many bytes of
    the body are there; ``heard`` whether the server said anything to the last request.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._closed = self._paused = False
        self._waiting = select.poll()
        self.used = False
        self._begin()
        self._asked = False

    def _begin(self) -> None:
        self._asked, self.heard = True, False
        self._raw, self._looked = b"", 0
        self._head: Head | None = None
        self._body: Framing = Sized(0)
        self._pieces: list[bytes] = []
        self.size = self._most = 0

    async def ask(self, request: bytes) -> Head:
        """Send ``request``; the head of its answer. Raises Closed or NotHTTP, as all that reads does."""
        if self._closed or self._transport.is_closing():
            raise Closed("before it was asked")
        self._begin()
        self.used = True
        self._transport.write(request)
        while self._head is None:
            await self._more()
        return self._head

    @property
    def ended(self) -> bool:
        """Whether all of the answer is there."""
        return self._head is not None and self._body.ended

    async def read(self, most: int) -> None:
        """Take in the body to its end, or until more than ``most`` bytes of it are there."""
        self._most = most
        while not self._body.ended and self.size <= most:
            if self._paused and not self._closed:
                self._paused = False
                self._transport.resume_reading()
            await self._more()

    def taken(self) -> list[bytes]:
        """What is there of the body, which is then held no more."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while True:
            await self.read(0)
            for piece in self.taken():
                yield piece
            if self._body.ended:
                return

    def release(self) -> bool:
        """Whether another request may be sent: the connection is closed otherwise."""
        fit = self.ended and not (self._body.more or self._closed or self._error or (self._head and self._head.last))
        self._asked = False
        self._head, self._pieces = None, []
        if not fit:
            self.close()
        return fit

    @property
    def is_silent(self) -> bool:
        """Whether nothing waits to be read from it, which would be taken for the next answer."""
        return not (self._closed or self._transport.is_closing() or self._waiting.poll(0))

    def close(self) -> None:
        if not self._closed:
            self._transport.abort()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if exc is None and self._head is not None:
            self._body.close()
        if self._error is None:
            self._error = Closed(f"{type(exc).__name__}: {exc}" if exc else "the server closed the connection")
        self._wake()

    def data_received(self, data: bytes) -> None:
        if not self._asked or self._error is not None:
            self._error = self._error or NotHTTP("an answer that nobody asked for")
            self.close()
            return
        self.heard = True
        is_new = self._head is None
        try:
            if is_new:
                data = self._take_head(data)
            if data:
                for piece in self._body.take(data):
                    self._pieces.append(piece)
                    self.size += len(piece)
        except NotHTTP as error:
            self._error = error
            self.close()
        else:
            if self._head is None or not (is_new or self._body.ended or self.size > self._most):
                return
            if not self._body.ended and self.size > max(self._most, _AHEAD):
                self._paused = True
                self._transport.pause_reading()
        self._wake()

    def _take_head(self, data: bytes) -> bytes:
        """Note the head once it is there; what came behind it."""
        came = (self._raw + data if self._raw else data).lstrip(b"\r\n")
        while (end := END.search(came, self._looked)) is not None:
            head = read_head(came[: end.end()])
            came, self._looked = came[end.end() :], 0
            if not 100 <= head.status < 200 or head.status == SWITCHING:
                self._head, self._raw = head, b""
                self._body = Chunked() if head.chunked else Sized(head.length)
                return came
            came = came.lstrip(b"\r\n")
        if len(came) > LONGEST_HEAD or came[:5].upper() != _START[: len(came)]:
            raise NotHTTP(f"an answer that starts with {came[:40]!r}")
        self._raw, self._looked = came, max(0, len(came) - 3)
        return b""
