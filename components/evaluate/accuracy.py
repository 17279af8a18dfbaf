"""Triplet accuracy: how often the model's odd one out is the annotators', and how sure one may be of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.evaluate.bootstrap import intervals

# Of three faces one is the odd one out.
CHANCE: Final = 1 / 3
TYPES: Final = {1: "one_class", 2: "two_class", 3: "three_class"}
# Triplets whose vectors are laid side by side at a time.
_BLOCK: Final = 4096
# Distances this near to each other are the same. What a network makes of a face differs in its last digits from a batch
# of one size to a batch of another (tiny: by 1.4e-7), and a collapsed network must not be right by those.
_SAME: Final = 5e-6


@dataclass(frozen=True)
class EvalTriplet:
    """An eval triplet: the ids of its faces, the consensus odd one out (1..3), its type (1..3) and votes, each 1..3."""

    faces: tuple[str, str, str]
    odd_one_out: int
    type: int
    votes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Score:
    """How many of ``count`` triplets were ``right``, and the 95 % interval by bootstrap where it was made."""

    right: int
    count: int
    bootstrap: tuple[float, float] | None = field(default=None, compare=False)

    @property
    def accuracy(self) -> float | None:
        return self.right / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy: by bootstrap, and nowhere narrower than Wilson's.

        Triplets that share photographs say less than as many that share none, never more; and a bootstrap of
        answers that are all right, or all wrong, has no width at all.
        """
        low, high = self.wilson
        return (min(low, self.bootstrap[0]), max(high, self.bootstrap[1])) if self.bootstrap else (low, high)

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927, JASA 22), as if no triplets shared a face: (0, 1) without any."""
        if not self.count:
            return 0.0, 1.0
        z, n, p = 1.959964, self.count, self.right / self.count
        centre = p + z * z / (2 * n)
        spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (centre - spread) / (1 + z * z / n)), min(1.0, (centre + spread) / (1 + z * z / n))

    @property
    def above_chance(self) -> bool:
        """Whether that is more than luck: chance lies below the interval."""
        return self.interval[0] > CHANCE


def distances(triplets: Sequence[EvalTriplet], embeddings: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """How far the other two faces are from each other if a face is left out: float [n, 3], by the face left out."""
    blocks = [np.empty((0, 3))]
    for start in range(0, len(triplets), _BLOCK):
        block = [[embeddings[face] for face in triplet.faces] for triplet in triplets[start : start + _BLOCK]]
        vectors = np.array(block, dtype=np.float64)
        a, b, c = vectors[:, 0], vectors[:, 1], vectors[:, 2]
        blocks.append(np.sqrt(np.stack([np.square(x - y).sum(-1) for x, y in ((b, c), (a, c), (a, b))], axis=1)))
    return np.concatenate(blocks)


def odd_ones_out(triplets: Sequence[EvalTriplet], embeddings: Mapping[str, NDArray[Any]]) -> list[int]:
    """The model's odd one out of each triplet, 1..3; 0 for a tie. See ``answers``."""
    return answers(distances(triplets, embeddings))


def answers(left_out: NDArray[np.float64]) -> list[int]:
    """The odd one out by ``distances``, 1..3: the face left out by the closest pair; 0 for a tie.

    Distances that differ by less than ``_SAME`` are a tie.
    """
    ordered = np.sort(left_out, axis=1)
    found: list[int] = np.where(ordered[:, 1] - ordered[:, 0] >= _SAME, left_out.argmin(axis=1) + 1, 0).tolist()
    return found


def scores(triplets: Sequence[EvalTriplet], answers: Sequence[int], photographs: Mapping[str, str]) -> dict[str, Score]:
    """Scores by ``overall`` and by each type's name; ``photographs``: the photograph's id by the face's."""
    types = np.array([triplet.type for triplet in triplets], dtype=int)
    groups = {"overall": np.ones(len(types), dtype=bool)} | {name: types == kind for kind, name in TYPES.items()}
    return scores_of(groups, triplets, answers, photographs)


def scores_of(
    groups: Mapping[str, NDArray[np.bool_]],
    triplets: Sequence[EvalTriplet],
    answers: Sequence[int],
    photographs: Mapping[str, str],
) -> dict[str, Score]:
    """Scores of ``groups`` of triplets, bool [n] each."""
    right = np.array([a == t.odd_one_out for t, a in zip(triplets, answers, strict=True)], dtype=bool)
    spreads = intervals(right, groups, [[photographs[face] for face in triplet.faces] for triplet in triplets])
    return {name: Score(int(right[group].sum()), int(group.sum()), spreads[name]) for name, group in groups.items()}
