"""Whatever the address and however it is written: what is not of the public internet is never fetched from."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.download.addresses import is_allowed, networks
from components.download.answers import Answer, Limits
from components.download.fetch import fetcher
from fec.outcomes import ImageOutcome
from tests.components.download.site import HOSTS, Site, answer

# Not globally reachable by the registries of IANA (RFC 6890 and its updates), or multicast (RFC 5771).
PRIVATE_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
PRIVATE_6 = [
    IPv6Network(text)
    for text in (
        "::/127",
        "64:ff9b:1::/48",
        "100::/64",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
]
# Blocks of well-known public services, spread over the address space.
PUBLIC_4 = [
    IPv4Network(text) for text in ("1.1.1.0/24", "8.8.8.0/24", "104.16.0.0/13", "142.250.0.0/15", "185.15.56.0/22")
]
PUBLIC_6 = [IPv6Network(text) for text in ("2606:4700::/32", "2a00:1450::/32", "2620:0:860::/46")]


def address_in(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    first, last = int(network.network_address), int(network.broadcast_address)
    return st.integers(first, last).map(type(network.network_address))


def as_ipv6(prefix: str, bits_behind: int, address: IPv4Address) -> IPv6Address:
    """``address`` behind an IPv6 prefix, with ``bits_behind`` bits after it."""
    return IPv6Address(int(IPv6Address(prefix)) | int(address) << bits_behind)


# How an IPv4 address is carried in an IPv6 one: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
CARRIED: dict[str, Callable[[IPv4Address], IPv4Address | IPv6Address]] = {
    "as it is": lambda address: address,
    "mapped": partial(as_ipv6, "::ffff:0:0", 0),
    "NAT64": partial(as_ipv6, "64:ff9b::", 0),
    "6to4": partial(as_ipv6, "2002::", 80),
}
private_4 = st.sampled_from(PRIVATE_4).flatmap(address_in)
private_6 = st.sampled_from(PRIVATE_6).flatmap(address_in)


def spellings(address: IPv4Address | IPv6Address) -> list[str]:
    if isinstance(address, IPv4Address):
        return [str(address)]
    return [str(address), address.exploded, address.exploded.upper(), f"{address}%eth0"]


@pytest.mark.parametrize("form", CARRIED)
@settings(derandomize=True, deadline=None)
@given(address=private_4)
def test_no_private_ipv4_address_is_allowed_in_any_form(form: str, address: IPv4Address) -> None:
    assert [text for text in spellings(CARRIED[form](address)) if is_allowed(text, ())] == []


@settings(derandomize=True, deadline=None)
@given(address=private_6)
def test_no_private_ipv6_address_is_allowed(address: IPv6Address) -> None:
    assert [text for text in spellings(address) if is_allowed(text, ())] == []


@pytest.mark.parametrize("form", CARRIED)
@settings(derandomize=True, deadline=None)
@given(address=st.sampled_from(PUBLIC_4).flatmap(address_in))
def test_a_public_ipv4_address_is_allowed_in_every_form(form: str, address: IPv4Address) -> None:
    assert all(is_allowed(text, ()) for text in spellings(CARRIED[form](address)))


@settings(derandomize=True, deadline=None)
@given(address=st.sampled_from(PUBLIC_6).flatmap(address_in))
def test_a_public_ipv6_address_is_allowed(address: IPv6Address) -> None:
    assert is_allowed(str(address), ())


@settings(derandomize=True, deadline=None)
@given(address=private_4, length=st.integers(8, 32), other=private_4)
def test_a_network_that_is_allowed_opens_itself_and_nothing_else(
    address: IPv4Address, length: int, other: IPv4Address
) -> None:
    allowed = ipaddress.ip_network((address, length), strict=False)
    assert is_allowed(str(address), networks([str(allowed)]))
    assert is_allowed(str(other), networks([str(allowed)])) is (other in allowed)


@settings(derandomize=True, deadline=None)
@given(text=st.text(max_size=40))
def test_what_is_no_address_is_not_allowed_and_no_error(text: str) -> None:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        assert not is_allowed(text, ())


def test_a_name_that_moves_to_another_address_is_judged_by_the_new_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.default = answer()
    answers = iter(HOSTS[:2])

    def rebinding(host: str, port: int, *more: int) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    async def fetch() -> Answer:
        async with fetcher(networks([f"{HOSTS[0]}/32"]), Limits(20, 20, 1 << 20, 5), "tests", 4) as client:
            return await client.fetch(f"http://moving.example:{site.port}/x")

    first, second = asyncio.run(fetch()), asyncio.run(fetch())
    assert first.outcome is ImageOutcome.FETCHED
    assert (second.outcome, second.answered) == (ImageOutcome.ADDRESS_NOT_ALLOWED, False), second
    assert len(site.log) == 1
