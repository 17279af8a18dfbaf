"""Which addresses may be fetched from: the public internet, and what ``--allow-network`` adds.

Checked on the address a connection is really made to, so that no name, redirect, notation or changed DNS
answer leads anywhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from fec.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """The connection was not made, since the address is not one we fetch from."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs as networks; ConfigurationError for anything else."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ConfigurationError(
                f"allow-network {text!r}: {error}; expected a CIDR such as 10.0.0.0/8 or 127.0.0.1/32"
            ) from None
    return tuple(found)


def is_allowed(text: str, extra: Sequence[Network]) -> bool:
    """Whether the address ``text`` is on the public internet or in one of ``extra``."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(address)
    if any(candidate in network for candidate in {address, inner} for network in extra):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    """The IPv4 address an IPv6 one stands for (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


class GuardedResolver(AbstractResolver):
    """The system's resolver, without the addresses that are not allowed."""

    def __init__(self, extra: Sequence[Network]) -> None:
        self._extra = extra
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [result for result in found if is_allowed(result["host"], self._extra)]
        if found and not allowed:
            raise ForbiddenAddress(f"{host} is at {found[0]['host']}")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


def guarded_socket(extra: Sequence[Network]) -> Any:
    """A socket factory for aiohttp's connector: the last check, on the very address about to be connected to."""

    def make(address_info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if not is_allowed(str(address[0]), extra):
            raise ForbiddenAddress(f"{address[0]}")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
