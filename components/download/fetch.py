"""One image from one URL: bounded in size, time and redirects, its end put into words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from components.download.addresses import ForbiddenAddress, GuardedResolver, Network, guarded_socket, no_such_name
from components.download.answers import Answer, Limits, failure, retry_after, short
from components.download.connector import CleanConnector
from components.download.decoding import BrokenOff, Undecodable, decoded
from components.download.formats import image_extension, looks_like
from components.download.robots import opts_out
from components.download.urls import InvalidURL, askable, joined
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
# What a connection takes in before it waits for us: most images whole.
_BUFFER: Final = 1 << 18
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
    """How far a fetch has come: the URL asked last, when, and how many were asked."""

    url: str
    at: float = 0.0
    requests: int = 0


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

    def __init__(self, session: aiohttp.ClientSession, limits: Limits) -> None:
        self._session, self._limits = session, limits
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
            answer = replace(answer, requests=max(1, trail.requests), asked=trail.url, latency=latency)
        finally:
            if answer is None or answer.data is None:
                place.give_back()
        return answer

    async def text(self, url: str, most: int, hop: Hop = at_once) -> str | None:
        """The first ``most`` bytes of the text at ``url``; None unless it is there."""
        with suppress(Exception):
            async with asyncio.timeout(self._limits.timeout):
                for _ in range(_TEXT_REDIRECTS):
                    async with self._session.get(askable(url), allow_redirects=False) as response:
                        if response.status == 200:
                            body = _Body()
                            await body.read_up_to(most, response.content.iter_any())
                            return body.whole()[:most].decode("utf-8", "replace")
                        url = joined(url, response.headers.get("Location", ""))
                        if response.status not in REDIRECTS or "Location" not in response.headers:
                            return None
                        await _let_go(response)
                    await hop(url)
        return None

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
            async with self._session.get(askable(url), allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status not in REDIRECTS or not location:
                    return replace(await self._read(response, place), final_url=short(url, _URL))
                before, url = url, joined(url, location)
                await _let_go(response)
            ended = Answer(
                ImageOutcome.TOO_MANY_REDIRECTS,
                f"more than {self._limits.max_redirects}",
                http_status=response.status,
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

    async def _read(self, response: aiohttp.ClientResponse, place: _Place) -> Answer:
        failed = failure(response.status, f"{response.status} {response.reason or ''}".strip())
        headers = {name: short(response.headers[name]) for name in KEPT_HEADERS if name in response.headers}
        if failed is not None:
            await _let_go(response)
            later = retry_after(response.status, response.headers.get("Retry-After"))
            answer = replace(failed, retry_after=later)
        elif self._limits.obey_robots and opts_out(response.headers.getall("X-Robots-Tag", [])):
            answer = Answer(ImageOutcome.OPTED_OUT, short(f"X-Robots-Tag: {headers['x-robots-tag']}"))
        else:
            answer = await self._image(response, headers.get("content-type", "?"), place)
        return replace(answer, http_status=response.status, headers=headers)

    async def _image(self, response: aiohttp.ClientResponse, content_type: str, place: _Place) -> Answer:
        most = self._limits.max_bytes
        declared = response.content_length
        if declared is not None and declared > most:
            return Answer(ImageOutcome.TOO_LARGE, f"{declared:,} bytes declared, {most:,} allowed")
        body = _Body()
        try:
            pieces = decoded(response.headers.get("Content-Encoding", ""), response.content.iter_any(), most)
            await body.read_up_to(min(LARGE_BODY, most), pieces)
            if body.size > LARGE_BODY:
                await place.take()
                await body.read_up_to(most, pieces)
        except Undecodable as error:
            return Answer(ImageOutcome.UNDECODABLE, short(str(error)))
        if body.size > most:
            return Answer(ImageOutcome.TOO_LARGE, f"more than {most:,} bytes")
        data = body.whole()
        extension = image_extension(data)
        if extension is None:
            looks = looks_like(data)
            return Answer(ImageOutcome.NOT_AN_IMAGE, short(f"{looks}, sent as {content_type}"), looks=looks)
        return Answer(ImageOutcome.FETCHED, data=data, extension=extension)


class _Body:
    """What has come of a body."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    async def read_up_to(self, most: int, pieces: AsyncIterator[bytes]) -> None:
        """Add ``pieces`` to their end, or until there are more than ``most`` bytes."""
        async for piece in pieces:
            self._pieces.append(piece)
            self.size += len(piece)
            if self.size > most:
                break

    def whole(self) -> bytes:
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]


@asynccontextmanager
async def fetcher(
    allowed: Sequence[Network], limits: Limits, user_agent: str, connections: int
) -> AsyncIterator[Fetcher]:
    """A Fetcher with its own connections: no cookies, no proxies or credentials of this machine's."""
    connector = CleanConnector(
        limit=connections,
        resolver=GuardedResolver(allowed),
        socket_factory=guarded_socket(allowed),
        ttl_dns_cache=300,
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_timeout)
    headers = {"User-Agent": user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=_BUFFER,
        max_line_size=65_536,
        max_field_size=65_536,
    ) as session:
        yield Fetcher(session, limits)


async def _let_go(response: aiohttp.ClientResponse) -> None:
    """Leave the connection fit for the next request if that costs next to nothing."""
    if response.content_length is not None and response.content_length <= SMALL_BODY:
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(SMALL_BODY_SECONDS):
                await response.read()


def _broken(error: Exception) -> Answer:
    """The outcome of a request that got no whole answer."""
    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddress):
            return Answer(ImageOutcome.ADDRESS_NOT_ALLOWED, short(str(cause)))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Answer(ImageOutcome.DNS_FAILED, short(str(error.os_error)), repeatable=not no_such_name(error.os_error))
    if isinstance(error, BrokenOff):
        return Answer(ImageOutcome.CONNECTION_FAILED, short(str(error)))
    if isinstance(error, TimeoutError):
        return Answer(ImageOutcome.TIMED_OUT, "no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Answer(ImageOutcome.CONNECTION_FAILED, short(str(error.os_error)))
    if isinstance(error, aiohttp.ClientResponseError):
        return Answer(ImageOutcome.CONNECTION_FAILED, short(f"not HTTP: {error.message}"))
    return Answer(ImageOutcome.CONNECTION_FAILED, short(f"{type(error).__name__}: {error}"))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        current = waiting.pop()
        if current is None or current in found:
            continue
        found.append(current)
        waiting += [current.__cause__, current.__context__, getattr(current, "os_error", None)]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
    return found
