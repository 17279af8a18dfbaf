"""The queue of one host key: which of its images is next, and when; when it is left alone."""

from __future__ import annotations

import asyncio
import heapq
import random
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Final

from components.download.answers import Answer, short
from components.download.pace import LONGEST_REST, ticks
from components.download.refusals import Refusals
from components.download.shared import FAILURES_IN_A_ROW, Held, Host, Request, Shared
from components.download.urls import server
from components.download.weather import is_good
from fec.outcomes import ImageOutcome
from fec.progress import event

BACKOFF_BASE: Final = 1.0
BACKOFF_MAX: Final = 60.0
# A key is left alone after so many failures in a row, whichever of its servers they were at.
FAILURES_OF_A_KEY: Final = 3 * FAILURES_IN_A_ROW

# What waits for one robots.txt while others of the key are asked for.
MOST_PARKED: Final = 64

# (not before, order, request, attempts so far)
Waiting = tuple[float, int, Request, int]


class Queue:
    """The requests of one host key."""

    def __init__(self, host: Host, shared: Shared) -> None:
        self._key, self._shared = host.key, shared
        self._pace = shared.paces.of(host.key)
        # What is next, and what is to be tried again; all else is in ``_fresh``, from ``_begun`` on.
        self._waiting: list[Waiting] = []
        self._fresh, self._begun = host.requests, 0
        self._order = count()
        # What those that are to be tried again were answered.
        self._own: dict[str, Answer] = {}
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        # Images whose server's robots.txt is being read, by server.
        self._parked: dict[str, list[Waiting]] = {}
        self._refusals = Refusals(host.good)
        self._failures = 0
        self._answered = self._banned = False
        self._left = ""  # why the rest is left to the next run

    async def run(self) -> None:
        """Returns when every request has ended, or its end waits with others in ``shared.pending``."""
        running = self._running
        try:
            while self._more() or running:
                if self._error is not None:
                    raise self._error
                if self._left:
                    await self._leave_rest()
                wait = None
                if self._waiting and len(running) < self._most_at_once():
                    if self._shared.weather.closed:
                        self._take_back()
                        await self._shared.weather.turn()
                    if await self._not_to_be_asked():
                        continue
                    wait = self._wait()
                    if wait <= 0 and not self._is_held_up():
                        if (task := await self._next()) is not None:
                            running.add(task)
                            task.add_done_callback(self._ended)
                        continue
                if not running:
                    await self._sleep(wait or 0)
                else:
                    await self._one_ends(None if wait is not None and wait <= 0 else wait)
            if self._error is not None:
                raise self._error
            self._shared.pending += self._refusals.release()
            await self._shared.release_pending()
        finally:
            under_way = [*running]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
        if self._waiter is not None:
            _set(self._waiter)

    async def _one_ends(self, most: float | None) -> None:
        """Wait until one of the requests under way has ended, or so many seconds have."""
        self._waiter = self._loop.create_future()
        timer = None if most is None else self._loop.call_later(ticks(most), _set, self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _more(self) -> bool:
        """Whether anything waits; the first of it is then in ``_waiting``, new ones before all others."""
        if self._begun < len(self._fresh) and (not self._waiting or self._waiting[0][0] > 0):
            heapq.heappush(self._waiting, (0.0, next(self._order), self._fresh[self._begun], 0))
            self._begun += 1
        return bool(self._waiting)

    def _most_at_once(self) -> int:
        """One while the host has not answered and others wait to be heard, so that it waits for itself only."""
        held_back = not self._answered and self._shared.connections.contended
        return 1 if held_back else self._shared.policy.connections_per_host

    def _wait(self) -> float:
        return max(self._waiting[0][0], self._pace.next) - self._loop.time()

    async def _sleep(self, wait: float) -> None:
        """Wait so long, unless it is a rest that nobody else's work fills, or too long a one."""
        rest = self._pace.next - self._loop.time()
        if rest <= self._shared.patience:
            await asyncio.sleep(ticks(wait))
            return
        if rest <= LONGEST_REST:
            self._shared.rest(self._key)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._shared.idle.wait(), rest)
                self._left = f"the host asked for {rest:.0f} s of rest, and nothing else is left to do"
            self._shared.wake(self._key)
        else:
            self._left = f"the host asked for {rest:.0f} s of rest"

    async def _not_to_be_asked(self) -> bool:
        """Whether the first that waits has ended, or waits for its robots.txt, without a request."""
        entry = self._waiting[0]
        _, _, request, attempts = entry
        robots = self._shared.robots
        if self._shared.given_up(request.url):
            answer = Answer(ImageOutcome.NOT_ASKED, f"{FAILURES_IN_A_ROW} requests in a row failed at its host")
        elif robots is None:
            return False
        elif (parked := self._parked.get(server(request.url))) is not None:
            if len(parked) >= MOST_PARKED:
                return False
            parked.append(heapq.heappop(self._waiting))
            return True
        elif not robots.known(request.url) or robots.allows(request.url):
            return False
        else:
            answer = Answer(ImageOutcome.ROBOTS_DISALLOWED, "the host's robots.txt does not allow it")
        heapq.heappop(self._waiting)
        await self._shared.end(request, self._own.pop(request.image_id, answer), attempts)
        return True

    def _is_held_up(self) -> bool:
        """Whether the first that waits cannot go on before a robots.txt is read that is on its way."""
        return server(self._waiting[0][2].url) in self._parked

    async def _next(self) -> asyncio.Task[None] | None:
        """Send the next request, once there is a connection for it; None if meanwhile it is not to be sent."""
        proven = self._answered
        await self._shared.connections.acquire(proven)
        if self._left or not self._waiting or self._wait() > 0 or self._is_held_up():
            self._shared.connections.release(proven)
            return None
        entry = heapq.heappop(self._waiting)
        self._pace.take(self._loop.time())
        robots = self._shared.robots
        if robots is not None and not robots.known(entry[2].url):
            self._parked[server(entry[2].url)] = [entry]
            return asyncio.create_task(self._learn_robots(entry[2].url, proven))
        return asyncio.create_task(self._one(*entry[1:], proven))

    async def _learn_robots(self, url: str, proven: bool) -> None:
        robots = self._shared.robots
        assert robots is not None
        try:
            await robots.learn(url)
        finally:
            self._shared.connections.release(proven)
        self._pace.slow_down(robots.delay(url))
        for entry in self._parked.pop(server(url)):
            heapq.heappush(self._waiting, entry)

    async def _one(self, order: int, request: Request, attempts: int, proven: bool) -> None:
        try:
            answer = await self._shared.fetch(request.url, self._shared.hop)
        finally:
            self._shared.connections.release(proven)
        now = self._loop.time()
        self._answered |= answer.answered
        counts = self._shared.weather.saw(self._key, answer, request.stubborn)
        if self._shared.weather.closed:
            await self._shared.doubt_pending()
        if not counts:
            self._shared.doubtful[request.image_id] = request
            heapq.heappush(self._waiting, (now, order, request, attempts))
            return
        attempts += 1
        self._shared.learn(self._key, request, answer)
        self._count(request, answer)
        again = answer.outcome.transient and answer.repeatable and attempts < self._shared.policy.attempts
        if again and not self._shared.given_up(request.url):
            backoff = min(BACKOFF_MAX, BACKOFF_BASE * 2 ** (attempts - 1))
            wait = random.uniform(0, backoff)  # noqa: S311 - jitter
            self._own[request.image_id] = answer
            heapq.heappush(self._waiting, (now + wait, order, request, attempts))
        elif self._refusals.doubts(answer):
            if self._banned:  # it was on its way when the row was long enough
                answer = replace(answer, outcome=ImageOutcome.BLOCKED, data=None)
                await self._shared.end(request, answer, attempts)
            else:
                self._refusals.held.append(Held(request, answer, attempts, self._shared.weather.good_answers))
                await self._judge_row()
        else:
            if is_good(answer):
                await self._shared.release(self._refusals.end_row(answer))
                await self._shared.release_pending()
            await self._shared.end(request, answer, attempts)

    def _count(self, request: Request, answer: Answer) -> None:
        """Count failures of this key's own servers; those of a redirect's target are its own."""
        if answer.outcome is ImageOutcome.NO_SUCH_HOST or server(answer.asked or request.url) != server(request.url):
            return
        self._failures = self._failures + 1 if answer.outcome.transient else 0
        if self._failures >= FAILURES_OF_A_KEY:
            self._left = f"{self._failures} requests in a row failed, the last: {answer.detail}"

    async def _judge_row(self) -> None:
        """A row by a host that gave pictures is a ban; where another host answered well since, it is the truth.

        Where none did, and others are at it, the weather says whether it is an outage.
        """
        refusals, weather = self._refusals, self._shared.weather
        if not refusals.good and weather.good:
            if refusals.held[0].since < weather.good_answers:
                await self._shared.release(refusals.release())
        elif refusals.is_row and (refusals.good or weather.active == {self._key}):
            self._banned = True
            row = refusals.release()
            last = row[-1].answer
            self._left = f"{len(row)} refusals in a row, the last: {last.detail or 'the same picture'}"
            event(
                "host_left_alone",
                f"{self._key} is left alone: {self._left}. Ask it more slowly, or with --contact, after a while: "
                f"--retry {ImageOutcome.BLOCKED}",
                severity="WARNING",
                host=self._key,
            )
            detail = f"one of {len(row)} refusals in a row: {last.detail}"
            await self._shared.release(
                [
                    replace(held, answer=replace(held.answer, outcome=ImageOutcome.BLOCKED, detail=detail, data=None))
                    for held in row
                ]
            )

    def _take_back(self) -> None:
        """What was refused as an outage began is to be asked for again."""
        for held in self._refusals.held:
            self._shared.doubtful[held.request.image_id] = held.request
            heapq.heappush(self._waiting, (0.0, next(self._order), held.request, held.attempts - 1))
        self._refusals.held = []

    async def _leave_rest(self) -> None:
        """End what is waiting without asking."""
        answer = Answer(ImageOutcome.NOT_ASKED, short(f"left to the next run: {self._left}"))
        while self._more():
            _, _, request, attempts = heapq.heappop(self._waiting)
            await self._shared.end(request, self._own.pop(request.image_id, answer), attempts)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
