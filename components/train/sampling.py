"""Which triplets a batch holds: types balanced as in the paper, but no rare triplet seen again and again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def shares(counts: Mapping[int, int], cap: float) -> dict[int, float]:
    """The share of a batch that each type with triplets gets.

    As much as the others, but at most ``cap`` times its share of all triplets; what that leaves goes to the others.
    """
    present = {kind: count for kind, count in counts.items() if count}
    total = sum(present.values())
    given: dict[int, float] = {}
    for kind in sorted(present, key=lambda kind: (present[kind], kind)):
        equal = (1 - sum(given.values())) / (len(present) - len(given))
        given[kind] = min(equal, cap * present[kind] / total)
    return {kind: share / sum(given.values()) for kind, share in sorted(given.items())}


def order(types: NDArray[np.int32], steps: int, batch_size: int, cap: float, seed: int) -> NDArray[np.int32]:
    """The rows of the triplets in each batch, int32 [steps, batch_size], the same for the same arguments.

    A type's triplets all come once, in a random order, before one comes again.
    """
    chance = np.random.default_rng([seed % 2**63, 0])
    kinds, counts = np.unique(types, return_counts=True)
    share = shares(dict(zip(kinds.tolist(), counts.tolist(), strict=True)), cap)
    # How many of the types up to each one there are after each step, rounded: no batch is a triplet off its share.
    places = np.arange(steps + 1)[:, None] * batch_size * np.cumsum(list(share.values()))[None, :]
    upto = np.floor(places + 0.5 - 1e-9).astype(np.int64)
    upto[:, -1] = np.arange(steps + 1) * batch_size
    each = np.diff(np.diff(upto, axis=0), axis=1, prepend=0)
    filled = np.empty((steps, batch_size), np.int32)
    column = np.arange(batch_size)[None, :]
    ends = np.cumsum(each, axis=1)
    for place, kind in enumerate(share):
        rows = np.flatnonzero(types == kind)
        needed = int(each[:, place].sum())
        rounds = [chance.permutation(rows) for _ in range(-(-needed // len(rows)))]
        mask = (column < ends[:, place, None]) & (column >= ends[:, place, None] - each[:, place, None])
        filled[mask] = np.concatenate([*rounds, rows[:0]])[:needed]
    return filled
