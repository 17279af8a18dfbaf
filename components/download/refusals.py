"""Rows of refusals by a host that gave pictures before: it has turned against us, and its pictures are not lost.

A 403, a page in place of a picture, or the same small picture for every URL may be the truth about one picture. Each
waits until the host answers well again, and is then taken for what it is; a row of them that would come about once in
ten thousand by the host's own record is taken for a ban.
"""

from __future__ import annotations

import math
from typing import Final

from components.download.answers import Answer
from components.download.shared import Held
from fec.outcomes import ImageOutcome

LEAST_ROW: Final = 10
CHANCE: Final = 1e-4
# Stand-ins are small; larger bodies are not compared.
_SMALL: Final = 64 << 10
_REFUSALS: Final = {ImageOutcome.REFUSED, ImageOutcome.NOT_AN_IMAGE}


class Refusals:
    """What one host key refused in a row; ``good``: it gave pictures in earlier runs."""

    def __init__(self, good: bool) -> None:
        self.good = good
        self.held: list[Held] = []
        self._answers = self._refused = 0
        self._last = b""
        self._pictures = 0

    def doubts(self, answer: Answer) -> bool:
        """Whether ``answer`` is to be held; takes note of it."""
        data = answer.data
        if data is not None and len(data) <= _SMALL and data == self._last:
            return self._pictures > 1
        if data is not None:
            self._pictures += 1
            self._last = data if len(data) <= _SMALL else b""
        return answer.outcome in _REFUSALS

    def release(self) -> list[Held]:
        """What was held, which is as true as it looks: the row has ended."""
        held, self.held = self.held, []
        self._answers += len(held)
        self._refused += len(held)
        return held

    def end_row(self, answer: Answer) -> list[Held]:
        """Take note of a good answer; what was held before it."""
        held = self.release()
        self._answers += 1
        self.good |= answer.outcome is ImageOutcome.FETCHED
        return held

    @property
    def is_row(self) -> bool:
        """Whether what is held is too much for chance."""
        share = (self._refused + 1) / (self._answers + 2)
        needed = math.ceil(math.log(CHANCE) / math.log(share)) if share < 1 else math.inf
        return len(self.held) >= max(LEAST_ROW, needed)
