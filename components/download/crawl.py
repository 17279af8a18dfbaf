"""The order and pace of requests: one queue a host key, its rate, its pauses, its retries.

A slow or dead host holds up nobody else. The delay between two requests to a host follows its latency, as
Scrapy's AutoThrottle does, is never below the rate limit, and is never made shorter by an error.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from components.download.fetch import Answer
from fec.outcomes import ImageOutcome

# Hosts worked at a time; each is a queue, most of them waiting.
ACTIVE_HOSTS: Final = 256
# A host that fails to be reached this often in a row is not asked again in this run.
UNREACHABLE_IN_A_ROW: Final = 20
# AutoThrottle's aim: how many requests a host is answering at a time, on average.
TARGET_CONCURRENCY: Final = 2.0
MAX_DELAY: Final = 10.0
BACKOFF_BASE: Final = 1.0
BACKOFF_MAX: Final = 60.0
# A host may ask for a pause; one that asks for a day is left to the next run.
MAX_PAUSE: Final = 120.0


@dataclass(frozen=True)
class Request:
    """One image to fetch, for the shard it is stored in."""

    image_id: str
    url: str
    shard: int


@dataclass(frozen=True)
class Host:
    """What is wanted of one host key, and how many requests a second this task may send it."""

    key: str
    rate: float
    requests: Sequence[Request]


@dataclass(frozen=True)
class Manners:
    """``attempts`` an image gets in one run; ``connections`` to one host at a time, and to all."""

    attempts: int
    connections_per_host: int
    connections: int


Fetch = Callable[[str], Awaitable[Answer]]
# Called once an image: the request, how it ended, and after how many attempts (0: not asked at all).
Ended = Callable[[Request, Answer, int], Awaitable[None]]


async def crawl(hosts: Iterable[Host], fetch: Fetch, ended: Ended, manners: Manners) -> None:
    """Fetch everything wanted of ``hosts``; returns when ``ended`` was called for every request."""
    everywhere = asyncio.Semaphore(manners.connections)
    active = asyncio.Semaphore(ACTIVE_HOSTS)

    async def work(host: Host) -> None:
        try:
            await _Queue(host, fetch, ended, manners, everywhere).run()
        finally:
            active.release()

    async with asyncio.TaskGroup() as tasks:
        for host in hosts:
            await active.acquire()
            tasks.create_task(work(host))


class _Queue:
    """The requests of one host: which is next, and when."""

    def __init__(self, host: Host, fetch: Fetch, ended: Ended, manners: Manners, everywhere: asyncio.Semaphore) -> None:
        self._fetch, self._ended, self._manners, self._everywhere = fetch, ended, manners, everywhere
        # (not before, order, request, attempts so far)
        self._waiting = [(0.0, order, request, 0) for order, request in enumerate(host.requests)]
        self._least_delay = 1 / host.rate
        self._delay = self._least_delay
        self._next = 0.0
        self._unreachable = 0
        self._last: Answer | None = None

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        running: set[asyncio.Task[None]] = set()
        try:
            while self._waiting or running:
                if self._unreachable >= UNREACHABLE_IN_A_ROW:
                    await self._give_up()
                wait = None
                if self._waiting and len(running) < self._manners.connections_per_host:
                    wait = max(self._waiting[0][0], self._next) - clock()
                    if wait <= 0:
                        await self._everywhere.acquire()
                        _, order, request, attempts = heapq.heappop(self._waiting)
                        self._next = clock() + self._delay
                        running.add(asyncio.create_task(self._one(order, request, attempts)))
                        continue
                if not running:
                    await asyncio.sleep(wait or 0)
                    continue
                finished, running = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, order: int, request: Request, attempts: int) -> None:
        clock = asyncio.get_running_loop().time
        try:
            started = clock()
            answer = await self._fetch(request.url)
        finally:
            self._everywhere.release()
        attempts += 1
        self._learn(answer, clock() - started, clock())
        if answer.outcome.transient and attempts < self._manners.attempts and self._worth_waiting(answer):
            backoff = min(BACKOFF_MAX, BACKOFF_BASE * 2 ** (attempts - 1))
            wait = max(answer.retry_after or 0.0, random.uniform(0, backoff))  # noqa: S311 - jitter
            heapq.heappush(self._waiting, (clock() + wait, order, request, attempts))
        else:
            await self._ended(request, answer, attempts)

    def _worth_waiting(self, answer: Answer) -> bool:
        return (answer.retry_after or 0.0) <= MAX_PAUSE

    def _learn(self, answer: Answer, latency: float, now: float) -> None:
        """Adapt the pace to how the host answered."""
        self._last = answer
        self._unreachable = 0 if answer.answered or not answer.outcome.transient else self._unreachable + 1
        aim = min(MAX_DELAY, max(self._least_delay, (self._delay + latency / TARGET_CONCURRENCY) / 2))
        if answer.outcome is ImageOutcome.FETCHED or aim > self._delay:
            self._delay = aim
        if answer.outcome is ImageOutcome.RATE_LIMITED or answer.retry_after:
            self._delay = min(MAX_DELAY, 2 * self._delay)
            self._next = max(self._next, now + min(MAX_PAUSE, answer.retry_after or BACKOFF_BASE))

    async def _give_up(self) -> None:
        """Leave the rest of a host that cannot be reached to the next run."""
        last = self._last
        assert last is not None
        waiting, self._waiting = self._waiting, []
        for _, _, request, attempts in sorted(waiting, key=lambda entry: entry[1]):
            detail = f"not asked again: {UNREACHABLE_IN_A_ROW} requests in a row failed ({last.detail})"
            await self._ended(request, replace(last, detail=detail, data=None), attempts)
