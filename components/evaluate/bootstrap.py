"""How sure a share of right answers is, where the answers are not independent: triplets share photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 1000
SEED: Final = 0
# Draws made at a time: 50 of 50,000 photographs are 20 MB.
_BLOCK: Final = 50
_TAILS: Final = (2.5, 97.5)


def intervals(
    right: NDArray[np.bool_], groups: Mapping[str, NDArray[np.bool_]], photographs: Sequence[Sequence[str]]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the share of ``right`` triplets within each of ``groups``, as ``mean_intervals`` makes them."""
    return {
        name: None if interval is None else (_share(interval[0]), _share(interval[1]))
        for name, interval in mean_intervals(right, groups, photographs).items()
    }


def mean_intervals(
    values: NDArray[Any], groups: Mapping[str, NDArray[np.bool_]], photographs: Sequence[Sequence[str]]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the mean of ``values`` [n] within each of ``groups``; None for an empty one.

    Each group: bool [n]; ``photographs``: the ids of each triplet's photographs. A draw takes each photograph as often
    as chance has it (Poisson, mean 1), and a triplet as often as the sum of its photographs says: that is to first
    order what taking triplets of drawn photographs only would give. It is right where many triplets share a
    photograph, and up to 1.7 times too wide where none do.
    """
    pulls = _pulls(values, groups, photographs)
    chance = np.random.default_rng(SEED)
    moved = []
    for _ in range(0, DRAWS, _BLOCK):
        moved.append((chance.poisson(1.0, (_BLOCK, len(pulls))) - 1.0) @ pulls)
    spreads = np.percentile(np.concatenate(moved), _TAILS, axis=0)
    result: dict[str, tuple[float, float] | None] = {}
    for (name, group), (low, high) in zip(groups.items(), spreads.T, strict=True):
        mean = float(values[group].mean()) if group.any() else None
        # Rounded, because the last digits of a product of matrices are the processor's.
        result[name] = None if mean is None else (round(mean + float(low), 4), round(mean + float(high), 4))
    return result


def _pulls(values: NDArray[Any], groups: Mapping[str, NDArray[Any]], photographs: Sequence[Sequence[str]]) -> Any:
    """By photograph and group, how much one more of the photograph moves the mean."""
    numbers: dict[str, int] = {}
    rows, columns = [], []
    for triplet, names in enumerate(photographs):
        for name in dict.fromkeys(names):
            rows.append(triplet)
            columns.append(numbers.setdefault(name, len(numbers)))
    pulls = np.zeros((len(numbers), len(groups)))
    for place, group in enumerate(groups.values()):
        if group.any():
            residuals = np.where(group, values - values[group].mean(), 0.0) / group.sum()
            pulls[:, place] = np.bincount(columns, weights=residuals[rows], minlength=len(numbers))
    return pulls


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 4)
