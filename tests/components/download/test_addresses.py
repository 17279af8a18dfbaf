"""Where a fetch may go: no notation, name or redirect leads off the public internet, and nothing is even connected."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from components.download.addresses import ForbiddenAddress, GuardedResolver, guarded_socket, is_allowed, networks
from components.download.answers import Answer, Limits
from components.download.fetch import fetcher
from fec.errors import ConfigurationError
from fec.outcomes import ImageOutcome
from tests.components.download.site import HOSTS, Site, answer, redirect

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "2130706433",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_is(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::"])
def test_an_allowed_network_covers_every_form_of_its_addresses(address: str) -> None:
    assert is_allowed(address, networks(["10.0.0.0/8"]))
    assert not is_allowed(address, networks(["10.0.0.0/16"]))


@pytest.mark.parametrize("text", ["here", "10.0.0.0/33", "10.0.0.1/8", ""])
def test_what_is_no_cidr_is_a_mistake_of_the_user(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a CIDR"):
        networks([text])


@pytest.fixture
def deserted_port() -> Iterator[int]:
    """A port of loopback, in both families, to which nobody must connect."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener.getsockname()[1]
        with pytest.raises(BlockingIOError):
            listener.accept()


def fetch(url: str, *allowed: str) -> Answer:
    async def ask() -> Answer:
        async with fetcher(networks(allowed), Limits(2, 1, 1 << 20, 5), "tests", 4) as client:
            return await client.fetch(url)

    return asyncio.run(ask())


LOOPBACK_AS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "user:secret@127.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
]


@pytest.mark.parametrize("host", LOOPBACK_AS)
def test_loopback_is_not_reached_by_any_name(host: str, deserted_port: int) -> None:
    got = fetch(f"http://{host}:{deserted_port}/")
    assert (got.outcome, got.answered) == (ImageOutcome.ADDRESS_NOT_ALLOWED, False), got


@pytest.mark.parametrize("host", [host for host in LOOPBACK_AS if host.isascii()])
def test_nor_by_a_redirect(host: str, site: Site, deserted_port: int) -> None:
    site.pages["/x"] = redirect(f"http://{host}:{deserted_port}/")
    got = fetch(site.url("/x", HOSTS[2]), f"{HOSTS[2]}/32")
    assert got.outcome is ImageOutcome.ADDRESS_NOT_ALLOWED, got
    assert [hit.path for hit in site.log] == ["/x"]


@pytest.mark.parametrize("metadata", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "0xa9fea9fe", "[fd00:ec2::254]"])
def test_a_redirect_does_not_lead_to_a_clouds_metadata(metadata: str, site: Site) -> None:
    site.pages["/x"] = redirect(f"http://{metadata}/latest/meta-data/")
    got = fetch(site.url("/x"), "127.0.0.0/8")
    assert (got.outcome, got.answered) == (ImageOutcome.ADDRESS_NOT_ALLOWED, False), got


def test_an_allowed_network_is_fetched_from_and_its_neighbour_is_not(site: Site) -> None:
    site.default = answer()
    allowed = f"{HOSTS[0]}/32"
    assert fetch(site.url("/x", HOSTS[0]), allowed).outcome is ImageOutcome.FETCHED
    assert fetch(site.url("/x", HOSTS[1]), allowed).outcome is ImageOutcome.ADDRESS_NOT_ALLOWED


def test_of_a_name_with_several_addresses_only_those_allowed_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["10.0.0.1", "8.8.8.8", "127.0.0.1"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)

    async def resolve() -> list[str]:
        resolver = GuardedResolver(())
        try:
            return [found[4][0] for found in await resolver.resolve("photos.example", 80)]
        finally:
            await resolver.close()

    assert asyncio.run(resolve()) == ["8.8.8.8"]


def test_the_socket_itself_is_refused_whatever_was_resolved_before() -> None:
    make = guarded_socket(networks(["10.0.0.0/8"]))
    with pytest.raises(ForbiddenAddress):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.0.1", 80)))
    make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))).close()
