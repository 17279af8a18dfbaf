"""The order and pace of requests: one queue a host key, its rate, its pauses, its retries.

A slow or dead host holds up nobody else: each has a queue of its own, and those that have not answered yet share half
of the connections. The delay between two requests to a host follows its latency, as Scrapy's AutoThrottle does, is
never below the rate limit, and is never made shorter by an error.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from components.download.fetch import Answer
from fec.outcomes import ImageOutcome

# Hosts worked at a time; each is a queue, most of them waiting.
ACTIVE_HOSTS: Final = 256
# After this many failures in a row a host gets a pause before every request, so that a hiccup passes ...
FAILURES_BEFORE_PAUSES: Final = 8
FAILURE_PAUSE: Final = 1.0
# ... and after this many it is not asked again in this run.
FAILURES_IN_A_ROW: Final = 20
# AutoThrottle's aim: how many requests a host is answering at a time, on average.
TARGET_CONCURRENCY: Final = 2.0
MAX_DELAY: Final = 10.0
BACKOFF_BASE: Final = 1.0
BACKOFF_MAX: Final = 60.0
# Seconds a host may ask us to wait; one that asks for more is left to the next run.
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
    connections = _Connections(manners.connections)
    active = asyncio.Semaphore(ACTIVE_HOSTS)

    async def work(host: Host) -> None:
        try:
            await _Queue(host, fetch, ended, manners, connections).run()
        finally:
            active.release()

    async with asyncio.TaskGroup() as tasks:
        for host in hosts:
            await active.acquire()
            tasks.create_task(work(host))


class _Connections:
    """The requests under way to all hosts; at most half of them to hosts that have not answered yet."""

    def __init__(self, most: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._unproven = asyncio.Semaphore(max(1, most // 2))

    @property
    def contended(self) -> bool:
        """Whether hosts that have not answered yet must wait for each other."""
        return self._unproven.locked()

    async def acquire(self, proven: bool) -> None:
        if not proven:
            await self._unproven.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            if not proven:
                self._unproven.release()
            raise

    def release(self, proven: bool) -> None:
        """``proven`` as it was when it was acquired."""
        self._all.release()
        if not proven:
            self._unproven.release()


class _Queue:
    """The requests of one host: which is next, and when."""

    def __init__(self, host: Host, fetch: Fetch, ended: Ended, manners: Manners, connections: _Connections) -> None:
        self._fetch, self._ended, self._manners, self._connections = fetch, ended, manners, connections
        # (not before, order, request, attempts so far)
        self._waiting = [(0.0, order, request, 0) for order, request in enumerate(host.requests)]
        self._least_delay = 1 / host.rate
        self._most_delay = max(MAX_DELAY, self._least_delay)
        self._delay = self._least_delay
        self._next = 0.0
        self._failures = 0
        self._answered = False
        # Why the rest is left to the next run, and the answer that decided it.
        self._given_up: tuple[str, Answer] | None = None

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        running: set[asyncio.Task[None]] = set()
        try:
            while self._waiting or running:
                if self._given_up is not None:
                    await self._leave_rest(*self._given_up)
                wait = None
                if self._waiting and len(running) < self._most_at_once():
                    wait = max(self._waiting[0][0], self._next) - clock()
                    if wait <= 0:
                        proven = self._answered
                        await self._connections.acquire(proven)
                        if self._given_up is not None:
                            self._connections.release(proven)
                            continue
                        _, order, request, attempts = heapq.heappop(self._waiting)
                        self._next = clock() + self._delay
                        running.add(asyncio.create_task(self._one(order, request, attempts, proven)))
                        continue
                if not running:
                    await asyncio.sleep(wait or 0)
                    continue
                finished, running = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                errors = [error for task in finished if (error := task.exception()) is not None]
                if errors:  # each was asked for, so that none is reported as never retrieved
                    raise errors[0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _most_at_once(self) -> int:
        """One while the host has not answered and others wait to be heard, so that it waits for itself only."""
        held_back = not self._answered and self._connections.contended
        return 1 if held_back else self._manners.connections_per_host

    async def _one(self, order: int, request: Request, attempts: int, proven: bool) -> None:
        clock = asyncio.get_running_loop().time
        try:
            started = clock()
            answer = await self._fetch(request.url)
        finally:
            self._connections.release(proven)
        attempts += 1
        self._learn(answer, clock() - started, clock())
        if answer.outcome.transient and attempts < self._manners.attempts:
            backoff = min(BACKOFF_MAX, BACKOFF_BASE * 2 ** (attempts - 1))
            wait = max(answer.retry_after or 0.0, random.uniform(0, backoff))  # noqa: S311 - jitter
            heapq.heappush(self._waiting, (clock() + wait, order, request, attempts))
        else:
            await self._ended(request, answer, attempts)

    def _learn(self, answer: Answer, latency: float, now: float) -> None:
        """Adapt the pace to how the host answered."""
        self._answered |= answer.answered
        # A redirect was a request as well.
        self._next += (answer.requests - 1) * self._delay
        aim = min(self._most_delay, max(self._least_delay, (self._delay + latency / TARGET_CONCURRENCY) / 2))
        if answer.outcome is ImageOutcome.FETCHED or aim > self._delay:
            self._delay = aim
        if answer.outcome is ImageOutcome.RATE_LIMITED or answer.retry_after:
            self._delay = min(self._most_delay, 2 * self._delay)
            self._pause(now, min(MAX_PAUSE, answer.retry_after or BACKOFF_BASE))
        if (answer.retry_after or 0.0) > MAX_PAUSE:
            self._given_up = (f"the host asked for {answer.retry_after:.0f} s of rest", answer)
        self._failures = self._failures + 1 if answer.outcome.transient else 0
        if self._failures == FAILURES_IN_A_ROW:
            self._given_up = (f"{self._failures} requests in a row failed, the last: {answer.detail}", answer)
        if self._failures >= FAILURES_BEFORE_PAUSES:
            self._pause(now, FAILURE_PAUSE)

    def _pause(self, now: float, seconds: float) -> None:
        self._next = max(self._next, now + seconds)

    async def _leave_rest(self, why: str, last: Answer) -> None:
        """End what is waiting as the answer that decided it ended, without asking."""
        waiting, self._waiting = self._waiting, []
        for _, _, request, attempts in sorted(waiting, key=lambda entry: entry[1]):
            answer = Answer(last.outcome, f"left to the next run: {why}", http_status=last.http_status)
            await self._ended(request, answer, attempts)
