"""aiohttp's connections, as lenient with answers as browsers are, and as strict about whose an answer is."""

from __future__ import annotations

import asyncio
import functools
import select
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

from components.download.framing import Chunked, Framing, Sized
from components.download.heads import END, mended

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

# curl's limit on all of a head is 300 KB.
LONGEST_HEAD: Final = 300 << 10
_SWITCHING: Final = 101
_START: Final = b"HTTP/"


class LenientHandler(ResponseHandler):
    """Gives aiohttp's parser the head of each answer as it was meant, and its body to its end and no further.

    A connection on which anything was not as it should be, or something came that nobody asked for, is not used again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytes | None = None  # what came of it; None when it is there
        self._body: Framing = Sized(0)

    def set_response_params(self, **options: Any) -> None:
        """Get ready for the next answer."""
        self._head = b""
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Take what came from the host; nothing, to go on with what the parser holds."""
        if self._head is not None and data:
            data = self._take_head(self._head + data, len(self._head))
            if not data:
                return
        for piece in self._body.take(data) if data else (data,):
            super().data_received(piece)
            if (error := self.exception()) is not None:
                # The parser says it only to those who wait for a head.
                if self._payload is not None and not self._payload.is_eof():
                    self._payload.set_exception(aiohttp.ClientPayloadError(f"not HTTP: {error}"))
                return
        if self._body.more:
            self._should_close = True

    def _take_head(self, came: bytes, before: int) -> bytes:
        """Pass the head on once it is there; what came behind it."""
        while True:
            came = came.lstrip(b"\r\n")
            end = END.search(came, max(0, before - 3))
            if end is None and len(came) <= LONGEST_HEAD and came[:5].upper() == _START[: len(came)]:
                self._head = came
                return b""
            head = mended(came[: end.end()]) if end else None
            if head is None:  # for the parser to say why
                self._head, self._body = None, Sized(None)
                return came
            assert end is not None
            came, before = came[end.end() :], 0
            super().data_received(head.text)
            if not 100 <= head.status < 200:
                break
            if head.status == _SWITCHING:
                self._head, self._body = None, Sized(None)
                return came
            if not came:
                self._head = b""
                return b""
        self._head = None
        self._body = Chunked() if head.chunked else Sized(head.length)
        if head.mended:
            self._should_close = True
        return came


class CleanConnector(aiohttp.TCPConnector):
    """A connection that is not silent is closed: what waits on it would be taken for the next picture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = functools.partial(_handler, loop=self._loop)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close and _is_silent(connection):
                return connection
            connection.close()
        return None


def _handler(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return LenientHandler(loop)


def _is_silent(connection: Connection) -> bool:
    """Whether nothing waits to be read from it."""
    transport = connection.transport
    if transport is None:
        return False
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not waiting.poll(0)
