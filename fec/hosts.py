"""The host key of a URL: what one rate limit covers."""

from __future__ import annotations

import ipaddress
import re
from functools import cache, lru_cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from fec.urls import host_of

# The key of everything that has no host to be polite to.
INVALID: Final = "invalid"

# What IDNA leaves as it is.
_PLAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def host_key(url: str) -> str:
    """The registrable domain of ``url``'s host (``staticflickr.com``), or its address, or ``invalid``.

    Ports, user names and case make no difference. Domains under which a hoster gives names to its customers
    (``blogspot.com``) are one key: the machines are the hoster's.
    """
    host = host_of(url)
    return _key_of_host(host) if host else INVALID


@lru_cache(maxsize=65_536)
def _key_of_host(host: str) -> str:
    if ":" in host or host[-1:].isdigit():
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            pass
    if _PLAIN.fullmatch(host):
        return _suffixes().privatesuffix(host) or host
    try:
        name = host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return INVALID
    if not _HOST.fullmatch(name):
        return INVALID
    return _suffixes().privatesuffix(name) or name


@cache
def _suffixes() -> PublicSuffixList:
    # The list's private section would make each blog of a hoster a key of its own, and the hoster be asked that
    # many times too fast.
    return PublicSuffixList(only_icann=True)
