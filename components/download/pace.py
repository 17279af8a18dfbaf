"""When each host key may be asked next: its share of the rate, its latency, the rests it asked for.

Every request takes a turn here, a redirect's too, whichever host it leads to. The delay between two requests to a key
follows its latency, as Scrapy's AutoThrottle does, is never below the rate limit, and is never made shorter by an
error.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Final

from components.download.answers import Answer
from fec.hosts import host_key
from fec.outcomes import ImageOutcome

# AutoThrottle's aim: how many requests a host is answering at a time, on average.
TARGET_CONCURRENCY: Final = 2.0
MAX_DELAY: Final = 10.0
# Seconds waited for a host whatever else there is to do. A longer rest is waited for while others have something to do,
# but not longer than the second: what is left then is left to the next run.
MAX_PAUSE: Final = 120.0
LONGEST_REST: Final = 3600.0
# A little more than 1/rate lies between two requests, so that what is late on its way does not make one too many.
SPACING: Final = 1.02
# The pause after an answer that asks for one without saying how long.
SHORT_REST: Final = 1.0


def ticks(seconds: float) -> float:
    """``seconds`` in whole milliseconds, and no fewer: libuv counts in these, and waits for a fraction by asking again
    and again whether it is over."""
    return math.ceil(1000 * seconds) / 1000


class Pace:
    """The turns of one host key."""

    def __init__(self, rate: float) -> None:
        self._least = SPACING / rate
        self._most = max(MAX_DELAY, self._least)
        self._delay = self._least
        self.next = 0.0
        self._waiting = 0
        self._turn = asyncio.Lock()

    @property
    def delay(self) -> float:
        """Seconds between two requests, as things stand."""
        return self._delay

    def take(self, now: float) -> None:
        """Take the turn of a request that is sent now."""
        self.next = max(now, self.next) + self._delay

    async def turn(self, most: float) -> bool:
        """Wait for a turn; False, and none taken, if ``most`` seconds are too few.

        A turn is taken when it is used, not before: a process that was held up does not make up for it at once.
        """
        clock = asyncio.get_running_loop().time
        if self.next - clock() + self._waiting * self._delay > most:
            return False
        self._waiting += 1
        try:
            async with self._turn:
                while (wait := self.next - clock()) > 0:
                    await asyncio.sleep(ticks(wait))
                self.take(clock())
        finally:
            self._waiting -= 1
        return True

    def rest(self, now: float, seconds: float) -> None:
        """No request for so long."""
        self.next = max(self.next, now + seconds)

    def slow_down(self, least: float) -> None:
        """At least so many seconds between two requests, as the host's robots.txt asks for."""
        self._least = max(self._least, min(least, MAX_DELAY))
        self._delay = max(self._delay, self._least)

    def learn(self, answer: Answer, now: float) -> None:
        """Adapt to how the key answered."""
        aim = min(self._most, max(self._least, (self._delay + answer.latency / TARGET_CONCURRENCY) / 2))
        if answer.outcome is ImageOutcome.FETCHED or aim > self._delay:
            self._delay = aim
        if answer.outcome is ImageOutcome.RATE_LIMITED or answer.retry_after:
            self._delay = min(self._most, 2 * self._delay)
            self.rest(now, answer.retry_after or SHORT_REST)


class Paces:
    """The pace of every key: ``rates`` of those that are planned, and ``other`` for each of all others."""

    def __init__(self, rates: Mapping[str, float], other: float) -> None:
        self._paces: dict[str, Pace] = {}
        self._rates, self._other = rates, other

    def of(self, key: str) -> Pace:
        """The pace of ``key``."""
        if key not in self._paces:
            self._paces[key] = Pace(self._rates.get(key, self._other))
        return self._paces[key]

    async def turn(self, url: str, most: float) -> bool:
        """Wait for the turn of a request to ``url``; False, and no turn taken, if ``most`` seconds are too few."""
        return await self.of(host_key(url)).turn(most)
