"""One image from one URL: bounded in size, time and redirects, its end put into words."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from components.download.addresses import ForbiddenAddress, GuardedResolver, Network, guarded_socket, is_allowed
from components.download.formats import image_extension, looks_like
from fec.outcomes import ImageOutcome

KEPT_HEADERS: Final = ("content-type", "content-length", "etag", "last-modified", "x-robots-tag")
# Where hosts send those who ask for a photograph that was taken down.
PLACEHOLDER_PATHS: Final = ("photo_unavailable", "/unavailable.gif", "image_not_available", "removed.png")
# Bodies above the first limit wait for one of a few places, so that many huge ones do not fill the memory.
LARGE_BODY: Final = 2 << 20
LARGE_PLACES: Final = 4
_CHUNK: Final = 1 << 16
_TEXT: Final = 300


@dataclass(frozen=True)
class Limits:
    """``timeout`` is for everything, redirects included; seconds and bytes."""

    timeout: float
    connect_timeout: float
    max_bytes: int
    max_redirects: int


@dataclass(frozen=True)
class Answer:
    """How a request ended. ``data`` and ``extension`` only for ``fetched``; ``answered``: a server said something."""

    outcome: ImageOutcome
    detail: str = ""
    data: bytes | None = None
    extension: str = ""
    http_status: int | None = None
    final_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def answered(self) -> bool:
        return self.http_status is not None


class Fetcher:
    """A pool of connections and the rules of every request; made by ``fetcher``."""

    def __init__(self, session: aiohttp.ClientSession, allowed: Sequence[Network], limits: Limits) -> None:
        self._session, self._allowed, self._limits = session, allowed, limits
        self._large = asyncio.Semaphore(LARGE_PLACES)

    async def fetch(self, url: str) -> Answer:
        """Fetch ``url``; whatever happens is an Answer."""
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await self._follow(url)
        except TimeoutError:
            return Answer(ImageOutcome.TIMED_OUT, f"no whole answer in {self._limits.timeout:g} s")
        except aiohttp.ClientResponseError as error:
            return Answer(ImageOutcome.CONNECTION_FAILED, _short(f"not HTTP: {error.message}"))
        except (aiohttp.InvalidURL, ValueError) as error:
            return Answer(ImageOutcome.INVALID_URL, _short(str(error)))
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            return _broken(error)

    async def _follow(self, url: str) -> Answer:
        for _ in range(self._limits.max_redirects + 1):
            target = _checked(url)
            literal = target.host or ""
            if _is_address(literal) and not is_allowed(literal, self._allowed):
                return Answer(ImageOutcome.ADDRESS_NOT_ALLOWED, literal, final_url=_short(url, 2000))
            async with self._session.get(target, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status in (301, 302, 303, 307, 308) and location:
                    url = str(target.join(URL(location)))
                    if any(path in url for path in PLACEHOLDER_PATHS):
                        return Answer(
                            ImageOutcome.PLACEHOLDER, "redirected to a stand-in", None, "", response.status, url
                        )
                    continue
                return await self._read(response)
        return Answer(ImageOutcome.TOO_MANY_REDIRECTS, f"more than {self._limits.max_redirects}", final_url=url)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        status = response.status
        headers = {name: response.headers[name][:_TEXT] for name in KEPT_HEADERS if name in response.headers}

        def answer(outcome: ImageOutcome, detail: str = "", data: bytes | None = None, extension: str = "") -> Answer:
            wait = _retry_after(response.headers.get("Retry-After"))
            return Answer(outcome, _short(detail), data, extension, status, str(response.url)[:2000], headers, wait)

        if status == 429:
            return answer(ImageOutcome.RATE_LIMITED, "429")
        if status >= 500:
            return answer(ImageOutcome.SERVER_ERROR, f"{status} {response.reason}")
        if status in (404, 410, 451):
            return answer(ImageOutcome.GONE, f"{status} {response.reason}")
        if status != 200:
            return answer(ImageOutcome.REFUSED, f"{status} {response.reason}")
        declared = response.content_length
        if declared is not None and declared > self._limits.max_bytes:
            return answer(ImageOutcome.TOO_LARGE, f"{declared:,} bytes declared, {self._limits.max_bytes:,} allowed")
        data = await self._body(response)
        if data is None:
            return answer(ImageOutcome.TOO_LARGE, f"more than {self._limits.max_bytes:,} bytes")
        extension = image_extension(data)
        if extension is None:
            return answer(ImageOutcome.NOT_AN_IMAGE, f"{looks_like(data)}, sent as {headers.get('content-type', '?')}")
        return answer(ImageOutcome.FETCHED, "", data, extension)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The body, inflated if need be; None if it passes the limit."""
        body = bytearray()
        pieces = _inflated(response, self._limits.max_bytes)
        async for piece in pieces:
            body += piece
            if len(body) > LARGE_BODY:
                async with self._large:
                    async for more in pieces:
                        body += more
                        if len(body) > self._limits.max_bytes:
                            return None
        return None if len(body) > self._limits.max_bytes else bytes(body)


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
        max_line_size=16_384,
        max_field_size=16_384,
    ) as session:
        yield Fetcher(session, allowed, limits)


def _checked(url: str) -> URL:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL with a host")
    return URL(url).with_user(None).with_fragment(None)


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False


async def _inflated(response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces; a host that compresses although it was asked not to gets no further than ``limit``."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise aiohttp.ClientPayloadError(f"content encoding {encoding[:40]!r}")
    inflate = zlib.decompressobj(wbits=47)
    async for chunk in response.content.iter_chunked(_CHUNK):
        while chunk:
            yield inflate.decompress(chunk, _CHUNK)
            chunk = inflate.unconsumed_tail


def _broken(error: BaseException) -> Answer:
    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddress):
            return Answer(ImageOutcome.ADDRESS_NOT_ALLOWED, _short(str(cause)))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Answer(ImageOutcome.DNS_FAILED, _short(str(error.os_error)))
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return Answer(ImageOutcome.TIMED_OUT, "no connection in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Answer(ImageOutcome.CONNECTION_FAILED, _short(str(error.os_error)))
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
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
