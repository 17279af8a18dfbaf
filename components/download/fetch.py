"""One image from one URL: bounded in size, time and redirects, its end put into words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from components.download.addresses import ForbiddenAddress, Network, no_such_name
from components.download.answers import Answer, Limits, failure, retry_after, short
from components.download.connector import Connector, NoAddress
from components.download.decoding import BrokenOff, Undecodable, decoded
from components.download.exchange import Closed, Exchange
from components.download.formats import image_extension, looks_like
from components.download.heads import Head, NotHTTP
from components.download.robots import opts_out
from components.download.urls import InvalidURL, Origin, askable, joined
from fec.outcomes import ImageOutcome

KEPT_HEADERS: Final = ("content-type", "content-length", "etag", "last-modified", "x-robots-tag")
# Where hosts send those who ask for a photograph that was taken down.
PLACEHOLDER_PATHS: Final = ("photo_unavailable", "/unavailable.gif", "image_not_available", "/removed.png")
# Bodies above the first limit wait for one of a few places, which they have until they are stored, so that many huge
# ones do not fill the memory.
LARGE_BODY: Final = 2 << 20
LARGE_PLACES: Final = 4
# The body of an error is read, so that the connection can be used again, if it is this small and comes at once.
SMALL_BODY: Final = 64 << 10
SMALL_BODY_SECONDS: Final = 1.0
_URL: Final = 2_000
REDIRECTS: Final = (301, 302, 303, 307, 308)
# As many as RFC 9309 wants followed on the way to a robots.txt, and the request itself.
_TEXT_REDIRECTS: Final = 6
# Waits for the turn of a request that a redirect leads to; raises LeftAlone if it is not to be made.
Hop = Callable[[str], Awaitable[None]]


async def at_once(url: str) -> None:
    """The Hop that never waits."""


class LeftAlone(Exception):
    """A redirect is not followed, since its target is not to be asked; ``outcome`` says why."""

    def __init__(self, outcome: ImageOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


@dataclass
class _Trail:
    """How far a fetch has come: the URL asked last, when, how many were asked, what a whole answer said."""

    url: str
    at: float = 0.0
    requests: int = 0
    said: dict[str, Any] = field(default_factory=dict)


class _Place:
    """One of the few places of large bodies, taken by one fetch or not."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places, self._taken = places, False

    async def take(self) -> None:
        await self._places.acquire()
        self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._taken = False
            self._places.release()


class Fetcher:
    """A pool of connections and the rules of every request; made by ``fetcher``."""

    def __init__(self, connector: Connector, limits: Limits, headers: str) -> None:
        self._connector, self._limits, self._headers = connector, limits, headers
        self._large = asyncio.Semaphore(LARGE_PLACES)
        self._clock = asyncio.get_running_loop().time

    def stored(self, answer: Answer) -> None:
        """``answer``, which fetch gave, is no longer held; to be said once of each, or a few huge ones block others."""
        if answer.data is not None and len(answer.data) > LARGE_BODY:
            self._large.release()

    async def fetch(self, url: str, hop: Hop = at_once) -> Answer:
        """Fetch ``url``; whatever happens is an Answer."""
        place = _Place(self._large)
        trail = _Trail(url, self._clock())
        answer = None
        try:
            answer = await self._answer(trail, place, hop)
            latency = self._clock() - trail.at
            answer = replace(answer, requests=max(1, trail.requests), asked=trail.url, latency=latency, **trail.said)
        finally:
            if answer is None or answer.data is None:
                place.give_back()
        return answer

    async def text(self, url: str, most: int, hop: Hop = at_once) -> str | None:
        """The first ``most`` bytes of the text at ``url``; None unless it is there."""
        with suppress(Exception):
            async with asyncio.timeout(self._limits.timeout):
                for _ in range(_TEXT_REDIRECTS):
                    origin, exchange, head = await self._ask(url)
                    try:
                        if head.status == 200:
                            await exchange.read(most)
                            return b"".join(exchange.taken())[:most].decode("utf-8", "replace")
                        location = head.first("location")
                        if head.status not in REDIRECTS or location is None:
                            return None
                        url = joined(url, location)
                        await _let_go(exchange, head)
                    finally:
                        self._connector.give(origin, exchange)
                    await hop(url)
        return None

    async def _ask(self, url: str) -> tuple[Origin, Exchange, Head]:
        """Send the request for ``url``: the connection, to be given back, and the head of the answer.

        A server may close a connection that was used before just as it is used again: it is then asked anew.
        """
        origin, named, target = askable(url)
        request = f"GET {target} HTTP/1.1\r\nHost: {named}\r\n{self._headers}\r\n".encode()
        while True:
            exchange = await self._connector.take(origin)
            used = exchange.used
            try:
                return origin, exchange, await exchange.ask(request)
            except BaseException as error:
                exchange.close()
                if not (used and isinstance(error, Closed) and not exchange.heard):
                    raise

    async def _answer(self, trail: _Trail, place: _Place, hop: Hop) -> Answer:
        whole = asyncio.timeout(self._limits.timeout)
        try:
            async with whole:
                return await self._follow(trail, place, hop, whole)
        except InvalidURL as error:
            return Answer(ImageOutcome.INVALID_URL, short(str(error)))
        except Exception as error:  # noqa: BLE001 - nothing a host sends may end the run
            if whole.expired():
                return Answer(ImageOutcome.TIMED_OUT, f"no whole answer in {self._limits.timeout:g} s")
            return _broken(error)

    async def _follow(self, trail: _Trail, place: _Place, hop: Hop, whole: asyncio.Timeout) -> Answer:
        url = trail.url
        while True:
            trail.url, trail.at, trail.requests = url, self._clock(), trail.requests + 1
            origin, exchange, head = await self._ask(url)
            try:
                location = head.first("location")
                if head.status not in REDIRECTS or not location:
                    return await self._read(exchange, head, place, trail)
                before, url = url, joined(url, location)
                await _let_go(exchange, head)
            finally:
                self._connector.give(origin, exchange)
            ended = Answer(
                ImageOutcome.TOO_MANY_REDIRECTS,
                f"more than {self._limits.max_redirects}",
                http_status=head.status,
                final_url=short(url, _URL),
            )
            if any(path in url and path not in before for path in PLACEHOLDER_PATHS):
                return replace(ended, outcome=ImageOutcome.PLACEHOLDER, detail="redirected to a stand-in")
            if trail.requests > self._limits.max_redirects:
                return ended
            askable(url)
            try:
                await self._turn(url, hop, whole)
            except LeftAlone as alone:
                return replace(ended, outcome=alone.outcome, detail=short(str(alone)), repeatable=False)

    async def _turn(self, url: str, hop: Hop, whole: asyncio.Timeout) -> None:
        """Wait for the turn of ``url``, which is no time of the host's."""
        left = (whole.when() or 0.0) - self._clock()
        whole.reschedule(None)
        try:
            await hop(url)
        finally:
            whole.reschedule(self._clock() + left)

    async def _read(self, exchange: Exchange, head: Head, place: _Place, trail: _Trail) -> Answer:
        failed = failure(head.status, f"{head.status} {head.reason}".strip())
        values = dict(reversed(head.fields))  # of several fields of one name the first
        headers = {name: short(values[name]) for name in KEPT_HEADERS if name in values}
        if failed is not None:
            await _let_go(exchange, head)
            answer = replace(failed, retry_after=retry_after(head.status, values.get("retry-after")))
        elif self._limits.obey_robots and opts_out(head.every("x-robots-tag")):
            answer = Answer(ImageOutcome.OPTED_OUT, short(f"X-Robots-Tag: {headers['x-robots-tag']}"))
        else:
            answer = await self._image(exchange, head, values, place)
        trail.said = {"http_status": head.status, "headers": headers, "final_url": short(trail.url, _URL)}
        return answer

    async def _image(self, exchange: Exchange, head: Head, values: Mapping[str, str], place: _Place) -> Answer:
        most = self._limits.max_bytes
        if head.length is not None and head.length > most:
            return Answer(ImageOutcome.TOO_LARGE, f"{head.length:,} bytes declared, {most:,} allowed")
        encoding = values.get("content-encoding", "")
        body = _Encoded(exchange, encoding, most) if encoding else exchange
        try:
            await body.read(min(LARGE_BODY, most))
            if body.size > LARGE_BODY:
                await place.take()
                await body.read(most)
        except Undecodable as error:
            return Answer(ImageOutcome.UNDECODABLE, short(str(error)))
        if body.size > most:
            return Answer(ImageOutcome.TOO_LARGE, f"more than {most:,} bytes")
        pieces = body.taken()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        extension = image_extension(data)
        if extension is None:
            looks = looks_like(data)
            sent = short(values.get("content-type", "?"))
            return Answer(ImageOutcome.NOT_AN_IMAGE, short(f"{looks}, sent as {sent}"), looks=looks)
        return Answer(ImageOutcome.FETCHED, data=data, extension=extension)


class _Encoded:
    """A body out of its Content-Encoding, read as an ``Exchange`` is."""

    def __init__(self, exchange: Exchange, encoding: str, most: int) -> None:
        self._source = decoded(encoding, exchange.pieces(), most)
        self._pieces: list[bytes] = []
        self.size = 0

    async def read(self, most: int) -> None:
        async for piece in self._source:
            self._pieces.append(piece)
            self.size += len(piece)
            if self.size > most:
                break

    def taken(self) -> list[bytes]:
        return self._pieces


@asynccontextmanager
async def fetcher(
    allowed: Sequence[Network], limits: Limits, user_agent: str, connections: int
) -> AsyncIterator[Fetcher]:
    """A Fetcher with its own connections: no cookies, no proxies or credentials of this machine's."""
    connector = Connector(allowed, limits.connect_timeout, connections)
    headers = f"User-Agent: {user_agent}\r\nAccept: image/*,*/*;q=0.5\r\nAccept-Encoding: identity\r\n"
    try:
        yield Fetcher(connector, limits, headers)
    finally:
        await connector.close()


async def _let_go(exchange: Exchange, head: Head) -> None:
    """Leave the connection fit for the next request if that costs next to nothing."""
    if not exchange.ended and head.length is not None and head.length <= SMALL_BODY:
        with suppress(TimeoutError, Closed, NotHTTP):
            async with asyncio.timeout(SMALL_BODY_SECONDS):
                await exchange.read(SMALL_BODY)


def _broken(error: Exception) -> Answer:
    """The outcome of a request that got no whole answer."""
    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddress):
            return Answer(ImageOutcome.ADDRESS_NOT_ALLOWED, short(str(cause)))
    if isinstance(error, NoAddress):
        said = short(error.error.strerror or str(error))
        if no_such_name(error.error):
            return Answer(ImageOutcome.NO_SUCH_HOST, said, repeatable=False)
        return Answer(ImageOutcome.DNS_FAILED, said)
    if isinstance(error, TimeoutError):
        return Answer(ImageOutcome.TIMED_OUT, "no connection in time")
    if isinstance(error, NotHTTP):
        return Answer(ImageOutcome.CONNECTION_FAILED, short(f"not HTTP: {error}"))
    if isinstance(error, (Closed, BrokenOff, OSError)):
        return Answer(ImageOutcome.CONNECTION_FAILED, short(str(error)))
    return Answer(ImageOutcome.CONNECTION_FAILED, short(f"{type(error).__name__}: {error}"))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        current = waiting.pop()
        if current is None or current in found:
            continue
        found.append(current)
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
    return found
