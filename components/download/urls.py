"""What is asked for of a URL, and where a redirect leads."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin

from fec.urls import web_address

_PORTS_END: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}
# As nearly all URLs are written: nothing in it to be escaped or left out.
_PLAIN: Final = re.compile(
    r"(https?)://([a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?(/[\w!$%&'()*+,/:;=@\[\].~-]*(?:\?[\w!$%&'()*+,/:;=?@\[\].~-]+)?)",
    re.ASCII,
)
_HOST: Final = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


class InvalidURL(ValueError):
    """What cannot be asked for."""


class Origin(NamedTuple):
    """Whom a connection is made to: a name or an address, without brackets."""

    scheme: str
    host: str
    port: int


class Address(NamedTuple):
    """``named``: the host as its own header names it; ``target``: path and query."""

    origin: Origin
    named: str
    target: str

    @property
    def url(self) -> str:
        """All of it as one URL again."""
        return f"{self.origin.scheme}://{self.named}{self.target}"


def askable(url: str) -> Address:
    """``url`` as it is sent: what may not stand in a URL escaped, all else left as it is; no user, no fragment."""
    if (plain := _PLAIN.fullmatch(url)) and (port := int(plain[3] or 0)) < _PORTS_END:
        return Address(*_origin(plain[1], plain[2], plain[2], port or None), plain[4])
    try:
        parts = web_address(url)
        origin, named = _origin(parts.scheme, parts.netloc, parts.hostname or "", parts.port)
        query = _escaped(parts.query)
    except InvalidURL:
        raise
    except ValueError as error:
        raise InvalidURL(str(error)) from None
    path = _escaped(parts.path) or "/"
    return Address(origin, named, f"{path}?{query}" if query else path)


@lru_cache(maxsize=4096)
def _origin(scheme: str, netloc: str, host: str, port: int | None) -> tuple[Origin, str]:
    if not host.isascii():
        host = host.encode("idna").decode().lower()
    if "[" in netloc:
        host = f"[{host}]"
    if not _HOST.fullmatch(host):
        raise InvalidURL("not a host name")
    with suppress(OSError):  # 2130706433, 0x7f.1, 127.1: addresses, as a browser takes them
        host = socket.inet_ntoa(socket.inet_aton(host))
    usual = _PORTS[scheme]
    named = host.rstrip(".") if port in (None, usual) else f"{host.rstrip('.')}:{port}"
    return Origin(scheme, host.strip("[]"), usual if port is None else port), named


def _escaped(part: str) -> str:
    return quote(part, safe="!$%&'()*+,/:;=?@[]~", errors="surrogateescape")


def joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InvalidURL(f"redirected to no URL: {error}") from None


@lru_cache(maxsize=4096)
def server(url: str) -> str:
    """Scheme, host and port of ``url``, as one text; "" where it has none."""
    if (plain := _PLAIN.match(url)) and int(plain[3] or 0) < _PORTS_END:
        return f"{plain[1]}://{plain[2]}:{plain[3] or ''}"
    try:
        parts = web_address(url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
    except ValueError:
        return ""
