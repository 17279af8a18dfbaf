"""One image from one URL: bounded in size, time and redirects, its end put into words."""

from __future__ import annotations

import asyncio
import email.utils
import re
import socket
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urljoin

import aiohttp
from yarl import URL

from components.download.addresses import ForbiddenAddress, GuardedResolver, Network, guarded_socket
from components.download.formats import image_extension, looks_like
from fec.outcomes import ImageOutcome
from fec.urls import web_address

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
_CHUNK: Final = 1 << 16
# What a connection takes in before it waits for us: most images whole.
_BUFFER: Final = 1 << 18
_HOST: Final = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")
_TEXT: Final = 300
_URL: Final = 2_000


@dataclass(frozen=True)
class Limits:
    """``timeout`` is for everything, redirects included; seconds and bytes."""

    timeout: float
    connect_timeout: float
    max_bytes: int
    max_redirects: int


@dataclass(frozen=True)
class Answer:
    """How a fetch ended.

    ``data`` and ``extension`` only for ``fetched``; ``http_status`` is None if no server said anything;
    ``requests`` counts redirects too.
    """

    outcome: ImageOutcome
    detail: str = ""
    data: bytes | None = None
    extension: str = ""
    http_status: int | None = None
    final_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    requests: int = 1

    @property
    def answered(self) -> bool:
        return self.http_status is not None


class InvalidURL(ValueError):
    """What cannot be asked for."""


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

    def stored(self, answer: Answer) -> None:
        """``answer``, which fetch gave, is no longer held; to be said once of each, or a few huge ones block others."""
        if answer.data is not None and len(answer.data) > LARGE_BODY:
            self._large.release()

    async def fetch(self, url: str) -> Answer:
        """Fetch ``url``; whatever happens is an Answer."""
        place = _Place(self._large)
        answer = None
        try:
            answer = await self._answer(url, place)
        finally:
            if answer is None or answer.data is None:
                place.give_back()
        return answer

    async def _answer(self, url: str, place: _Place) -> Answer:
        whole = asyncio.timeout(self._limits.timeout)
        try:
            async with whole:
                return await self._follow(url, place)
        except InvalidURL as error:
            return Answer(ImageOutcome.INVALID_URL, _short(str(error)))
        except Exception as error:  # noqa: BLE001 - nothing a host sends may end the run
            if whole.expired():
                return Answer(ImageOutcome.TIMED_OUT, f"no whole answer in {self._limits.timeout:g} s")
            return _broken(error)

    async def _follow(self, url: str, place: _Place) -> Answer:
        for requests in range(1, self._limits.max_redirects + 2):
            async with self._session.get(_askable(url), allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status not in (301, 302, 303, 307, 308) or not location:
                    return replace(await self._read(response, place), final_url=_short(url, _URL), requests=requests)
                before, url, status = url, _joined(url, location), response.status
                await _let_go(response)
            if any(path in url and path not in before for path in PLACEHOLDER_PATHS):
                return Answer(
                    ImageOutcome.PLACEHOLDER,
                    "redirected to a stand-in",
                    http_status=status,
                    final_url=_short(url, _URL),
                    requests=requests,
                )
        return Answer(
            ImageOutcome.TOO_MANY_REDIRECTS,
            f"more than {self._limits.max_redirects}",
            http_status=status,
            final_url=_short(url, _URL),
            requests=requests,
        )

    async def _read(self, response: aiohttp.ClientResponse, place: _Place) -> Answer:
        failed = _failure(response.status, f"{response.status} {response.reason or ''}".strip())
        headers = {name: _short(response.headers[name]) for name in KEPT_HEADERS if name in response.headers}
        if failed is not None:
            await _let_go(response)
            answer = replace(failed, retry_after=_retry_after(response.headers.get("Retry-After")))
        else:
            answer = await self._image(response, headers.get("content-type", "?"), place)
        return replace(answer, http_status=response.status, headers=headers)

    async def _image(self, response: aiohttp.ClientResponse, content_type: str, place: _Place) -> Answer:
        most = self._limits.max_bytes
        declared = response.content_length
        if declared is not None and declared > most:
            return Answer(ImageOutcome.TOO_LARGE, f"{declared:,} bytes declared, {most:,} allowed")
        body = bytearray()
        pieces = _inflated(response)
        await _read_up_to(min(LARGE_BODY, most), pieces, body)
        if len(body) > LARGE_BODY:
            await place.take()
            await _read_up_to(most, pieces, body)
        if len(body) > most:
            return Answer(ImageOutcome.TOO_LARGE, f"more than {most:,} bytes")
        extension = image_extension(body)
        if extension is None:
            return Answer(ImageOutcome.NOT_AN_IMAGE, _short(f"{looks_like(body)}, sent as {content_type}"))
        return Answer(ImageOutcome.FETCHED, data=bytes(body), extension=extension)


async def _read_up_to(most: int, pieces: AsyncIterator[bytes], body: bytearray) -> None:
    """Add ``pieces`` to ``body`` to their end, or until it has more than ``most`` bytes."""
    async for piece in pieces:
        body += piece
        if len(body) > most:
            break


@asynccontextmanager
async def fetcher(
    allowed: Sequence[Network], limits: Limits, user_agent: str, connections: int
) -> AsyncIterator[Fetcher]:
    """A Fetcher with its own connections: no cookies, no proxies or credentials of this machine's."""
    connector = aiohttp.TCPConnector(
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
        max_line_size=16_384,
        max_field_size=16_384,
    ) as session:
        yield Fetcher(session, limits)


def _askable(url: str) -> URL:
    """``url`` as it is sent: what may not stand in a URL escaped, all else left as it is; no user, no fragment."""
    try:
        parts = web_address(url)
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode().lower()
        if "[" in parts.netloc:
            host = f"[{host}]"
        if not _HOST.fullmatch(host):
            raise InvalidURL("not a host name")
        with suppress(OSError):  # 2130706433, 0x7f.1, 127.1: addresses, as a browser takes them
            host = socket.inet_ntoa(socket.inet_aton(host))
        return URL.build(
            scheme=parts.scheme,
            host=host,
            port=port,
            path=_escaped(parts.path) or "/",
            query_string=_escaped(parts.query),
            encoded=True,
        )
    except InvalidURL:
        raise
    except ValueError as error:
        raise InvalidURL(str(error)) from None


def _escaped(part: str) -> str:
    return quote(part, safe="!$%&'()*+,/:;=?@[]~", errors="surrogateescape")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InvalidURL(f"redirected to no URL: {error}") from None


def _failure(status: int, text: str) -> Answer | None:
    """What a status other than 200 says."""
    match status:
        case 200:
            return None
        case 404 | 410 | 451:
            outcome = ImageOutcome.GONE
        case 408:
            outcome = ImageOutcome.TIMED_OUT
        case 429:
            outcome = ImageOutcome.RATE_LIMITED
        case _ if 500 <= status < 600:
            outcome = ImageOutcome.SERVER_ERROR
        case _:
            outcome = ImageOutcome.REFUSED
    return Answer(outcome, _short(text))


async def _let_go(response: aiohttp.ClientResponse) -> None:
    """Leave the connection fit for the next request if that costs next to nothing."""
    if response.content_length is not None and response.content_length <= SMALL_BODY:
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(SMALL_BODY_SECONDS):
                await response.read()


async def _inflated(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in small pieces, also if the host compresses although it was asked not to."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        async for chunk in response.content.iter_any():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise aiohttp.ClientPayloadError(f"content encoding {encoding[:40]!r}")
    inflate = zlib.decompressobj(wbits=47)
    async for chunk in response.content.iter_chunked(_CHUNK):
        while chunk and not inflate.eof:
            yield inflate.decompress(chunk, _CHUNK)
            chunk = inflate.unconsumed_tail
    while not inflate.eof and (rest := inflate.decompress(b"", _CHUNK)):
        yield rest
    if not inflate.eof:
        raise aiohttp.ClientPayloadError("the compressed body breaks off")


def _broken(error: Exception) -> Answer:
    """The outcome of a request that got no whole answer."""
    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddress):
            return Answer(ImageOutcome.ADDRESS_NOT_ALLOWED, _short(str(cause)))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Answer(ImageOutcome.DNS_FAILED, _short(str(error.os_error)))
    if isinstance(error, TimeoutError):
        return Answer(ImageOutcome.TIMED_OUT, "no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Answer(ImageOutcome.CONNECTION_FAILED, _short(str(error.os_error)))
    if isinstance(error, aiohttp.ClientResponseError):
        return Answer(ImageOutcome.CONNECTION_FAILED, _short(f"not HTTP: {error.message}"))
    return Answer(ImageOutcome.CONNECTION_FAILED, _short(f"{type(error).__name__}: {error}"))


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


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3), a number or a date."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _short(text: str, limit: int = _TEXT) -> str:
    printable = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
