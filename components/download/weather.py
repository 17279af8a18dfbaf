"""Whether what fails is the hosts' trouble or ours: nearly everything everywhere at once, in one and the same way.

A network that is gone, a proxy that refuses and a captive portal that answers for everybody look like thousands of dead
links. While it looks like that nothing is asked but now and then one image, and nothing is taken for an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from components.download.answers import Answer
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.progress import event

# Answers looked back at, and how many of them have to be alike.
WINDOW: Final = 12
ALIKE: Final = 11
# An outage has this many keys in it, or all there are.
KEYS: Final = 3
# With no good answer yet connections may fail for so long before it is no list of dead hosts: those fail first.
SETTLING: Final = 10.0
# Seconds from one trial to the next while it lasts: the first, and the longest.
TRIAL: Final = 1.0
TRIAL_MOST: Final = 15.0

NO_CONNECTION: Final = "no connection"
_GOOD: Final = {ImageOutcome.FETCHED, ImageOutcome.GONE, ImageOutcome.PLACEHOLDER, ImageOutcome.OPTED_OUT}
_NO_CONNECTION: Final = {
    ImageOutcome.NO_SUCH_HOST,
    ImageOutcome.DNS_FAILED,
    ImageOutcome.CONNECTION_FAILED,
    ImageOutcome.TIMED_OUT,
}
_ALIKE: Final = {ImageOutcome.REFUSED, ImageOutcome.NOT_AN_IMAGE, ImageOutcome.SERVER_ERROR, ImageOutcome.RATE_LIMITED}


def is_good(answer: Answer) -> bool:
    """Whether only the host itself, in its right mind, answers so."""
    return answer.outcome in _GOOD


def sign(answer: Answer) -> str:
    """What many answers have in common where something stands between us and the hosts; "" if it says nothing."""
    if answer.outcome in _NO_CONNECTION and not answer.answered:
        return NO_CONNECTION
    if answer.outcome in _ALIKE:
        return answer.looks if answer.outcome is ImageOutcome.NOT_AN_IMAGE else f"status {answer.http_status}"
    return ""


class Weather:
    """What the latest answers of all hosts have in common; ``patience`` are the seconds an outage may last."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._latest: deque[tuple[str, str]] = deque(maxlen=WINDOW)
        self._trying = asyncio.Lock()
        self._opened = asyncio.Event()
        self._opened.set()
        self._closed_at = self._next_trial = 0.0
        self._trial_after = TRIAL
        self._outage = ""
        self.active: set[str] = set()
        self.good: set[str] = set()
        self.good_answers = 0

    @property
    def closed(self) -> bool:
        """Whether it looks like an outage."""
        return not self._opened.is_set()

    def saw(self, key: str, answer: Answer, stubborn: bool) -> bool:
        """Take note of an answer; whether it counts. ``stubborn``: it failed long ago already, and proves nothing."""
        found = sign(answer)
        if is_good(answer):
            self.good.add(key)
            self.good_answers += 1
            self._latest.append((key, ""))
            self._open()
            return True
        if not found:
            return True
        if self.closed and found != self._outage and answer.answered:
            self._open()
        if not self.closed and not stubborn and (not self.good or key in self.good):
            self._latest.append((key, found))
            self._look()
        return not (self.closed and found == self._outage)

    def _look(self) -> None:
        common, count = Counter(found for _, found in self._latest).most_common(1)[0]
        keys = {key for key, found in self._latest if found == common}
        if not common or count < ALIKE:
            return
        everywhere = len(self.active & self.good if self.good else self.active)
        if common == NO_CONNECTION:
            enough = bool(self.good) or self._clock() - self._started > SETTLING
            least = min(KEYS, max(1, everywhere)) if self.good else KEYS
        else:
            enough, least = True, min(KEYS, max(2, everywhere))
        if enough and len(keys) >= least:
            self._close(common, len(keys))

    def _close(self, common: str, keys: int) -> None:
        self._outage = common
        self._closed_at = self._clock()
        self._trial_after = TRIAL
        self._next_trial = self._closed_at + TRIAL
        self._opened.clear()
        event(
            "outage",
            f"nearly everything fails at once ({common}, at {keys} hosts): pausing, and trying for up to "
            f"{self._patience:.0f} s whether it is over",
            severity="WARNING",
        )

    def _open(self) -> None:
        if self.closed:
            self._latest.clear()
            event("outage_over", f"answers again after {self._clock() - self._closed_at:.0f} s: going on")
            self._opened.set()

    async def turn(self) -> None:
        """Return when it is over, or when it is the caller's turn to try; raises RunFailed when it lasts too long."""
        async with self._trying:
            if not self.closed:
                return
            until = min(self._next_trial, self._closed_at + self._patience)
            try:
                await asyncio.wait_for(self._opened.wait(), max(0.0, until - self._clock()))
            except TimeoutError:
                if self._clock() >= self._closed_at + self._patience:
                    raise RunFailed(
                        f"nearly everything failed at once ({self._outage}) for {self._patience:.0f} s: the network, a "
                        "proxy or a log-in page, not the links. Nothing was put down as lost; mend it and run again"
                    ) from None
                self._trial_after = min(TRIAL_MOST, 1.5 * self._trial_after)
                self._next_trial = self._clock() + self._trial_after
