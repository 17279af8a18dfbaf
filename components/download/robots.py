"""What hosts ask of programs: robots.txt (RFC 9309), and X-Robots-Tag on a picture itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from protego import Protego

from components.download.urls import server

# What of the User-Agent robots.txt and X-Robots-Tag name.
PRODUCT: Final = "fec-pipeline"
# RFC 9309 wants 500 KiB read at least.
MOST_BYTES: Final = 512 << 10
_REFUSALS: Final = {"noai", "noimageai"}
# Directives with a colon of their own, which is none after the name of a program.
_WITH_VALUES: Final = ("max-image-preview", "max-snippet", "max-video-preview", "unavailable_after")


def opts_out(tags: Iterable[str]) -> bool:
    """Whether X-Robots-Tag headers say to us or to everybody that a picture is not for such a use."""
    for tag in tags:
        agent, colon, rest = tag.partition(":")
        named = bool(colon) and "," not in agent and agent.strip().lower() not in _WITH_VALUES
        if named and agent.strip().lower() not in ("*", PRODUCT):
            continue
        directives = rest if named else tag
        if _REFUSALS & {directive.strip().lower() for directive in directives.split(",")}:
            return True
    return False


class Robots:
    """The robots.txt of every server, read when it is first asked for anything.

    One that is missing or cannot be read allows everything; a server that is gone says so for each picture itself.
    """

    def __init__(self, read: Callable[[str, int], Awaitable[str | None]]) -> None:
        self._read = read
        self._rules: dict[str, Protego | None] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    def known(self, url: str) -> bool:
        """Whether nothing has to be read to tell what its server wants; so where there is no server."""
        origin = server(url)
        return not origin or origin in self._rules

    async def learn(self, url: str) -> None:
        """Read the robots.txt of its server, once."""
        origin = server(url)
        async with self._reading.setdefault(origin, asyncio.Lock()):
            if not self.known(url):
                text = await self._read(f"{origin.removesuffix(':')}/robots.txt", MOST_BYTES)
                self._rules[origin] = None if text is None else Protego.parse(text)

    def allows(self, url: str) -> bool:
        """Whether ``url``, whose server is known, may be asked for."""
        rules = self._rules.get(server(url))
        return rules is None or bool(rules.can_fetch(url, PRODUCT))

    def delay(self, url: str) -> float:
        """The seconds its server, which is known, wants between two requests."""
        rules = self._rules.get(server(url))
        return 0.0 if rules is None else float(rules.crawl_delay(PRODUCT) or 0.0)
