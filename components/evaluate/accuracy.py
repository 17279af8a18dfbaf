"""Triplet accuracy: how often the model's odd one out is the annotators', and how sure one may be of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Of three faces one is the odd one out.
CHANCE: Final = 1 / 3
TYPES: Final = {1: "one_class", 2: "two_class", 3: "three_class"}
# Triplets whose vectors are laid side by side at a time.
_BLOCK: Final = 4096


@dataclass(frozen=True)
class EvalTriplet:
    """An eval triplet: the ids of its faces, the consensus odd one out (1..3) and its type (1..3)."""

    faces: tuple[str, str, str]
    odd_one_out: int
    type: int


@dataclass(frozen=True)
class Score:
    """How many of ``count`` triplets were ``right``."""

    right: int
    count: int

    @property
    def accuracy(self) -> float | None:
        return self.right / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy (Wilson 1927, JASA 22): (0, 1) without any triplet."""
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


def odd_ones_out(triplets: Sequence[EvalTriplet], embeddings: Mapping[str, NDArray[Any]]) -> list[int]:
    """The model's odd one out of each triplet, 1..3: the face left out by the strictly closest pair; 0 for a tie."""
    answers: list[int] = []
    for start in range(0, len(triplets), _BLOCK):
        block = [[embeddings[face] for face in triplet.faces] for triplet in triplets[start : start + _BLOCK]]
        vectors = np.array(block, dtype=np.float64)
        a, b, c = vectors[:, 0], vectors[:, 1], vectors[:, 2]
        left_out = np.stack([np.square(x - y).sum(-1) for x, y in ((b, c), (a, c), (a, b))], axis=1)
        ordered = np.sort(left_out, axis=1)
        answers += np.where(ordered[:, 0] < ordered[:, 1], left_out.argmin(axis=1) + 1, 0).tolist()
    return answers


def scores(triplets: Sequence[EvalTriplet], answers: Sequence[int]) -> dict[str, Score]:
    """Scores by ``overall`` and by each type's name."""
    right = [answer == triplet.odd_one_out for triplet, answer in zip(triplets, answers, strict=True)]
    result = {"overall": Score(sum(right), len(right))}
    for number, name in TYPES.items():
        of_type = [ok for ok, triplet in zip(right, triplets, strict=True) if triplet.type == number]
        result[name] = Score(sum(of_type), len(of_type))
    return result
