"""The one rule by which the host of a URL is told."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

# As nearly all URLs are written; what comes behind makes no difference to the host.
_PLAIN: Final = re.compile(r"https?://([a-z0-9.-]+)(?:/|$)")


def web_address(url: str) -> SplitResult:
    """The parts of an http or https URL with a host; ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL with a host")
    return parts


def host_of(url: str) -> str:
    """The host of an http or https URL, in lower case and without port or user; "" for any other URL."""
    if plain := _PLAIN.match(url):
        return plain[1]
    try:
        return web_address(url).hostname or ""
    except ValueError:
        return ""
