"""What the queues of one crawl share: its pace, its connections, what is known of hosts and of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from components.download.answers import Answer
from components.download.connections import Connections
from components.download.fetch import Hop, LeftAlone
from components.download.pace import MAX_PAUSE, Paces
from components.download.robots import Robots
from components.download.urls import server
from components.download.weather import Weather
from fec.hosts import host_key
from fec.outcomes import ImageOutcome

# After this many failures in a row a server gets a pause before every request, so that a hiccup passes ...
FAILURES_BEFORE_PAUSES: Final = 8
FAILURE_PAUSE: Final = 1.0
# ... and after this many it is not asked again in this run, nor is a key after so many at different servers of it.
FAILURES_IN_A_ROW: Final = 20
IN_AN_OUTAGE: Final = "asked while nearly everything failed"


@dataclass(frozen=True)
class Request:
    """One image to fetch, for the shard it is stored in; ``key`` is its host key in the plan.

    ``row`` is where the shard, or whoever else makes the request, has the image. ``stubborn``: it failed for a passing
    cause long ago already, so that failing again tells nothing of the network.
    """

    image_id: str
    url: str
    shard: int
    stubborn: bool = False
    key: str = ""
    row: int = -1


@dataclass(frozen=True)
class Host:
    """What is wanted of one host key, in this order; ``good``: it gave pictures in earlier runs."""

    key: str
    requests: Sequence[Request]
    good: bool = False


@dataclass(frozen=True)
class CrawlPolicy:
    """``attempts`` an image gets in one run; ``connections`` to one host at a time, and to all."""

    attempts: int
    connections_per_host: int
    connections: int


class Client(Protocol):
    """What fetches: an image, and a text."""

    async def fetch(self, url: str, hop: Hop) -> Answer: ...

    async def text(self, url: str, most: int, hop: Hop) -> str | None: ...


# Called once an image: the request, how it ended, and after how many attempts (0: not asked at all).
OnResult = Callable[[Request, Answer, int], Awaitable[None]]


@dataclass(frozen=True)
class Held:
    """A refusal that waits until it is known whether it is the picture's or ours; ``since``: good answers before it."""

    request: Request
    answer: Answer
    attempts: int
    since: int


class Shared:
    """What the queues of one crawl share; ``robots`` is None where robots.txt is not obeyed.

    ``patience``: seconds waited for a host whatever else there is to do.
    """

    def __init__(
        self,
        client: Client,
        on_result: OnResult,
        policy: CrawlPolicy,
        paces: Paces,
        weather: Weather,
        obey_robots: bool,
        patience: float = MAX_PAUSE,
    ) -> None:
        self.fetch, self._on_result, self.policy = client.fetch, on_result, policy
        self.paces, self.weather, self.patience = paces, weather, patience
        self.robots = Robots(self.read_text) if obey_robots else None
        self._text = client.text
        self.connections = Connections(policy.connections)
        self.failures: dict[str, int] = {}
        self.pending: list[Held] = []
        self.doubtful: dict[str, Request] = {}
        # Keys with something to do; ``idle`` once all that are left have asked for a long rest.
        self.busy: set[str] = set()
        self.idle = asyncio.Event()

    async def end(self, request: Request, answer: Answer, attempts: int) -> None:
        """Say how a request ended."""
        self.doubtful.pop(request.image_id, None)
        await self._on_result(request, answer, attempts)

    async def release_pending(self) -> None:
        """Take the refusals of hosts that are done for what they are, now that another host has answered well."""
        if self.pending:
            known = [held for held in self.pending if held.since < self.weather.good_answers]
            self.pending = [held for held in self.pending if held.since >= self.weather.good_answers]
            await self.release(known)

    async def doubt_pending(self) -> None:
        """Take the refusals of hosts that are done for no answer at all: an outage gave them."""
        pending, self.pending = self.pending, []
        for held in pending:
            await self.end(held.request, Answer(ImageOutcome.NOT_ASKED, IN_AN_OUTAGE), 0)

    async def release(self, held: Sequence[Held]) -> None:
        for one in held:
            await self.end(one.request, one.answer, one.attempts)

    async def leave_doubtful(self) -> None:
        """Say of what was asked in an outage that it was not, and when: what fails long after is no sign of one."""
        for request in list(self.doubtful.values()):
            await self.end(request, Answer(ImageOutcome.NOT_ASKED, IN_AN_OUTAGE), 0)

    def rest(self, key: str) -> None:
        """``key`` has nothing to do for long."""
        self.busy.discard(key)
        if not self.busy:
            self.idle.set()

    def wake(self, key: str) -> None:
        """``key`` has something to do."""
        self.busy.add(key)
        self.idle.clear()

    def given_up(self, url: str) -> bool:
        """Whether the server of ``url`` failed so often in a row that it is left alone."""
        return bool(self.failures) and self.failures.get(server(url), 0) >= FAILURES_IN_A_ROW

    async def hop(self, url: str) -> None:
        """The Hop of every redirect: to any host, at its pace, by its robots.txt."""
        if self.given_up(url):
            raise LeftAlone(ImageOutcome.NOT_ASKED, f"redirected to {server(url)}, which failed too often in a row")
        if self.robots is not None:
            if not self.robots.known(url):
                await self._turn(url)
                await self.robots.learn(url)
            if not self.robots.allows(url):
                raise LeftAlone(ImageOutcome.ROBOTS_DISALLOWED, f"redirected to {url}, which robots.txt does not allow")
        await self._turn(url)

    async def _turn(self, url: str) -> None:
        if not await self.paces.turn(url, self.patience):
            raise LeftAlone(ImageOutcome.NOT_ASKED, f"redirected to {server(url)}, which is to be left at rest")

    async def read_text(self, url: str, most: int) -> str | None:
        """The text at ``url``, asked for at the pace of every host on the way; the first turn was taken already."""
        return await self._text(url, most, self._turn)

    def learn(self, key: str, request: Request, answer: Answer) -> None:
        """Adapt the pace of the host that answered, and count its failures in a row."""
        now = asyncio.get_running_loop().time()
        asked = answer.asked or request.url
        target, first = server(asked), server(request.url)
        pace = self.paces.of(key if target == first else host_key(asked))
        pace.learn(answer, now)
        if target != first:
            self.failures.pop(first, None)
        # A name that is not there bothers nobody, however often it is looked up.
        if answer.outcome in (ImageOutcome.NOT_ASKED, ImageOutcome.NO_SUCH_HOST):
            return
        if answer.outcome.transient:
            self.failures[target] = self.failures.get(target, 0) + 1
            if self.failures[target] >= FAILURES_BEFORE_PAUSES:
                pace.rest(now, FAILURE_PAUSE)
        else:
            self.failures.pop(target, None)
