"""The one rule by which the host of a URL is told."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def web_address(url: str) -> SplitResult:
    """The parts of an http or https URL with a host; ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL with a host")
    return parts


def host_of(url: str) -> str:
    """The host of an http or https URL, in lower case and without port or user; "" for any other URL."""
    try:
        return web_address(url).hostname or ""
    except ValueError:
        return ""
