"""Connections: used again where that is safe, closed otherwise, and no more kept than were asked for."""

import asyncio
from collections.abc import Awaitable, Callable

from components.download.addresses import networks
from components.download.connector import Connector
from components.download.exchange import Exchange
from components.download.urls import askable
from tests.components.download.site import HOSTS, JPEG, Hit, Site, answer, head

HELLO = b"GET /x HTTP/1.1\r\nHost: here\r\n\r\n"


def connected(work: Callable[[Connector], Awaitable[None]], most_idle: int = 8) -> None:
    async def run() -> None:
        connector = Connector(networks(["127.0.0.0/8"]), 5.0, most_idle)
        try:
            await work(connector)
        finally:
            await connector.close()

    asyncio.run(run())


async def asked(exchange: Exchange) -> bytes:
    await exchange.ask(HELLO)
    await exchange.read(1 << 20)
    return b"".join(exchange.taken())


def test_a_connection_whose_answer_was_taken_whole_is_used_again(site: Site) -> None:
    site.default = answer(JPEG)
    origin = askable(site.url("/x")).origin

    async def work(connector: Connector) -> None:
        first = await connector.take(origin)
        assert await asked(first) == JPEG
        connector.give(origin, first)
        assert await connector.take(origin) is first
        assert await asked(first) == JPEG
        first.close()

    connected(work)


def test_one_whose_answer_was_not_is_closed(site: Site) -> None:
    site.default = answer(JPEG + bytes(1 << 20))
    origin = askable(site.url("/x")).origin

    async def work(connector: Connector) -> None:
        first = await connector.take(origin)
        await first.ask(HELLO)
        await first.read(1000)
        connector.give(origin, first)
        second = await connector.take(origin)
        assert second is not first
        second.close()

    connected(work)


def test_no_more_wait_than_were_asked_for_and_the_oldest_go_first(site: Site) -> None:
    site.default = answer(JPEG)
    origins = [askable(site.url("/x", host)).origin for host in HOSTS[:3]]

    async def work(connector: Connector) -> None:
        made = [await connector.take(origin) for origin in origins]
        for origin, exchange in zip(origins, made, strict=True):
            await asked(exchange)
            connector.give(origin, exchange)
        again = [await connector.take(origin) for origin in origins]
        assert [one is other for one, other in zip(made, again, strict=True)] == [False, True, True]
        for exchange in again:
            exchange.close()

    connected(work, most_idle=2)


def test_a_body_nobody_reads_is_not_taken_in(site: Site) -> None:
    sent = 0

    async def endless(hit: Hit, out: asyncio.StreamWriter) -> None:
        nonlocal sent
        out.write(head())
        while True:
            out.write(bytes(1 << 16))
            await out.drain()
            sent += 1 << 16

    site.default = endless
    origin = askable(site.url("/x")).origin

    async def work(connector: Connector) -> None:
        exchange = await connector.take(origin)
        await exchange.ask(HELLO)
        await exchange.read(1000)
        await asyncio.sleep(0.2)
        assert exchange.size < 1 << 20
        connector.give(origin, exchange)

    connected(work)
