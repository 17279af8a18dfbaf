"""Which addresses may be fetched from: the public internet, and what ``--allow-network`` adds.

Checked on the address a connection is really made to, so that no name, redirect, notation or changed DNS
answer leads anywhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from fec.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# As socket.getaddrinfo gives it: family, kind, protocol, canonical name, address.
Found = tuple[int, int, int, str, tuple[Any, ...]]

# Names looked up at a time. Each is a thread, most of them waiting: a name server that is gone keeps one for half
# a minute, and the event loop's own few would then hold up every other host.
LOOKUPS: Final = 32

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Not public, whatever the ipaddress of this Python says: site-local (RFC 3879), translation within a network
# (RFC 8215), protocol assignments (RFC 6890), documentation (RFC 9637).
_PRIVATE: Final = tuple(map(ipaddress.ip_network, ("fec0::/10", "64:ff9b:1::/48", "192.0.0.0/24", "3fff::/20")))


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
    if any(inner in network for network in _PRIVATE):
        return False
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    """The IPv4 address an IPv6 one stands for (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


class GuardedResolver:
    """The system's resolver, without the addresses that are not allowed."""

    def __init__(self, extra: Sequence[Network]) -> None:
        self._extra = extra
        self._threads = ThreadPoolExecutor(LOOKUPS, "lookup")

    async def resolve(self, host: str, port: int) -> list[Found]:
        """The addresses of ``host``; raises OSError if it has none, ForbiddenAddress if none is allowed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except UnicodeError:  # what no name server can be asked
            raise OSError(socket.EAI_NONAME, "not a host name") from None
        allowed = [one for one in found if is_allowed(str(one[4][0]), self._extra)]
        if not found:
            raise OSError(socket.EAI_NONAME, "no address")
        if not allowed:
            raise ForbiddenAddress(f"{host} is at {found[0][4][0]}")
        return allowed

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def no_such_name(error: OSError) -> bool:
    """Whether a name server said that there is no such name, rather than nothing: it says the same a minute later."""
    return error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def _look_up(host: str, port: int) -> list[Found]:
    return [*socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)]


def guarded_socket(extra: Sequence[Network]) -> Callable[[Found], socket.socket]:
    """A socket factory: the last check, on the very address about to be connected to."""

    def make(address_info: Found) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if not is_allowed(str(address[0]), extra):
            raise ForbiddenAddress(f"{address[0]}")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
