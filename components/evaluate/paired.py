"""Two models on the same triplets: how much better one is, and how sure one may be of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluate.bootstrap import mean_intervals

_NORMAL = 1.959964


@dataclass(frozen=True)
class Comparison:
    """How many triplets ``both`` models answered right, only the ``first``, only the ``second``, and ``neither``.

    ``bootstrap``: the 95 % interval of the difference of accuracies over photographs, where there are triplets.
    """

    both: int
    first: int
    second: int
    neither: int
    bootstrap: tuple[float, float] | None = None

    @property
    def count(self) -> int:
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float | None:
        """The second's accuracy less the first's."""
        return (self.second - self.first) / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference: by bootstrap, and nowhere narrower than if no triplets shared a face.

        That is the paired one of McNemar's table (Newcombe 1998, Statistics in Medicine 17, method 1).
        """
        if self.difference is None or self.bootstrap is None:
            return None
        changed, net = self.first + self.second, self.second - self.first
        spread = _NORMAL * math.sqrt(max(0.0, changed - net * net / self.count)) / self.count
        low, high = self.bootstrap
        return max(-1.0, min(low, self.difference - spread)), min(1.0, max(high, self.difference + spread))

    @property
    def differs(self) -> bool:
        """Whether that is more than luck: no difference lies outside of the interval."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def compared(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.bool_]],
    photographs: Sequence[Sequence[str]],
) -> dict[str, Comparison]:
    """``first`` and ``second``, bool [n]: whether each model is right of each triplet; by ``groups``, bool [n] each.

    ``photographs``: the ids of each triplet's photographs.
    """
    spreads = mean_intervals(second.astype(float) - first.astype(float), groups, photographs)
    found = {}
    for name, group in groups.items():
        one, other = first[group], second[group]
        found[name] = Comparison(
            int((one & other).sum()),
            int((one & ~other).sum()),
            int((~one & other).sum()),
            int((~one & ~other).sum()),
            spreads[name],
        )
    return found
