"""The connections of one crawl: made to allowed addresses only, kept for a while, and used again where that is safe."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import aiohappyeyeballs

from components.download.addresses import Found, GuardedResolver, Network, guarded_socket
from components.download.exchange import Exchange
from components.download.urls import Origin

# Seconds an address is good for, and an idle connection is kept; most servers close theirs a little later.
_ADDRESSES_KEPT: Final = 300.0
_IDLE_KEPT: Final = 15.0
# A transport that is told to close does so in the loop's next turn, one of TLS in the turn after that.
_TURNS_TO_CLOSE: Final = 2
# RFC 8305, 5: seconds until another address of a name is tried beside the one before.
_NEXT_ADDRESS: Final = 0.25


class NoAddress(Exception):
    """A name could not be resolved; ``error`` says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Connector:
    """Gives connections, and takes them back; ``most_idle`` of them wait to be used again.

    Connecting, TLS included and whatever addresses a name has, takes ``timeout`` seconds at most. Raises TimeoutError,
    NoAddress, or another OSError.
    """

    def __init__(self, allowed: Sequence[Network], timeout: float, most_idle: int) -> None:
        self._resolver, self._make_socket = GuardedResolver(allowed), guarded_socket(allowed)
        self._timeout, self._most_idle = timeout, most_idle
        # Idle connections, those longest so first, with whom they lead to and since when.
        self._idle: dict[Exchange, tuple[Origin, float]] = {}
        self._idle_of: dict[Origin, list[Exchange]] = {}
        self._found: dict[Origin, tuple[list[Found], float]] = {}
        self._looking: dict[Origin, asyncio.Task[list[Found]]] = {}

    async def take(self, origin: Origin) -> Exchange:
        """A connection to ``origin``, to be given back."""
        while idle := self._idle_of.get(origin):
            exchange = idle[-1]
            _, since = self._forget(exchange)
            if time.monotonic() - since < _IDLE_KEPT and exchange.is_silent:
                return exchange
            exchange.close()
        return await self._connected(origin)

    def give(self, origin: Origin, exchange: Exchange) -> None:
        """Take a connection back; it is closed unless its answer was taken whole, and all was as it should be."""
        if not exchange.release():
            return
        now = time.monotonic()
        self._idle[exchange] = origin, now
        self._idle_of.setdefault(origin, []).append(exchange)
        while (oldest := next(iter(self._idle))) is not exchange and (
            len(self._idle) > self._most_idle or now - self._idle[oldest][1] > _IDLE_KEPT
        ):
            self._forget(oldest)
            oldest.close()

    async def close(self) -> None:
        """Close what waits to be used again."""
        for exchange in self._idle:
            exchange.close()
        self._idle.clear()
        self._idle_of.clear()
        for task in self._looking.values():
            task.cancel()
        await self._resolver.close()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    def _forget(self, exchange: Exchange) -> tuple[Origin, float]:
        origin, since = self._idle.pop(exchange)
        of = self._idle_of[origin]
        of.remove(exchange)
        if not of:
            del self._idle_of[origin]
        return origin, since

    async def _connected(self, origin: Origin) -> Exchange:
        found = await self._addresses(origin)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout):
            made = await aiohappyeyeballs.start_connection(
                found, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1, loop=loop, socket_factory=self._make_socket
            )
            try:
                if origin.scheme == "https":
                    _, exchange = await loop.create_connection(
                        Exchange, sock=made, ssl=self._tls, server_hostname=origin.host.rstrip(".")
                    )
                else:
                    _, exchange = await loop.create_connection(Exchange, sock=made)
            except BaseException:
                made.close()
                raise
        return exchange

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _addresses(self, origin: Origin) -> list[Found]:
        """Where ``origin`` is; several who ask at a time are told by one look-up."""
        try:
            return [_numeric(origin)]
        except ValueError:
            pass
        found, until = self._found.get(origin, ([], 0.0))
        if time.monotonic() < until:
            return found
        if (looking := self._looking.get(origin)) is None:
            looking = self._looking[origin] = asyncio.create_task(self._resolver.resolve(origin.host, origin.port))
            looking.add_done_callback(lambda task: self._note(origin, task))
        try:
            return await asyncio.shield(looking)
        except OSError as error:
            raise NoAddress(error) from error

    def _note(self, origin: Origin, looked: asyncio.Task[list[Found]]) -> None:
        del self._looking[origin]
        if not looked.cancelled() and looked.exception() is None:
            self._found[origin] = looked.result(), time.monotonic() + _ADDRESSES_KEPT


def _numeric(origin: Origin) -> Found:
    """An address written as one; ValueError for a name."""
    address = ipaddress.ip_address(origin.host)
    if address.version == 4:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), origin.port)
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), origin.port, 0, 0)
