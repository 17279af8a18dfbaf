"""Whose photographs are, as far as addresses tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    limit = _limit(len(hosts))
    return {photograph: host for photograph, host in hosts.items() if host and crowd[host] <= limit}


def account_numbers(urls: Iterable[str]) -> NDArray[np.int32]:
    """The same of photographs in a row: a number for each account, and -1 where there is none.

    Of each photograph four bytes are held, and each host once.
    """
    numbers: dict[str, int] = {"": 0}
    of_host = np.fromiter((numbers.setdefault(host_of(url), len(numbers)) for url in urls), np.int32)
    crowded = np.bincount(of_host, minlength=len(numbers)) > _limit(len(of_host))
    return np.where((of_host == 0) | crowded[of_host], np.int32(-1), of_host)


def _limit(photographs: int) -> float:
    return max(1.0, _HOST_SHARE * photographs)
