"""What is asked for of a URL, and where a redirect leads."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urljoin

from yarl import URL

from fec.urls import web_address

_HOST: Final = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


class InvalidURL(ValueError):
    """What cannot be asked for."""


def askable(url: str) -> URL:
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


def joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InvalidURL(f"redirected to no URL: {error}") from None


@lru_cache(maxsize=4096)
def server(url: str) -> str:
    """Scheme, host and port of ``url``, as one text; "" where it has none."""
    try:
        parts = web_address(url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
    except ValueError:
        return ""
