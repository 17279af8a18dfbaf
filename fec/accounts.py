"""Whose photographs are, as far as addresses tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from fec.urls import host_of

# A host with a larger share of the photographs serves many accounts.
_HOST_SHARE: Final = 0.05


def accounts(urls: Mapping[str, str]) -> dict[str, str]:
    """The account of each photograph by the photograph's id, of ``urls`` by the same.

    An address names an account by its host, unless a twentieth of all photographs is there; photographs whose address
    names none are left out.
    """
    hosts = {photograph: host_of(url) for photograph, url in urls.items()}
    crowd = Counter(hosts.values())
    limit = max(1.0, _HOST_SHARE * len(hosts))
    return {photograph: host for photograph, host in hosts.items() if host and crowd[host] <= limit}
