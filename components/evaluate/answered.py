"""Triplets with the model's answers: the worst mistakes, and some that it got right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import TYPES, EvalTriplet

SHOWN_MISTAKES: Final = 12
SHOWN_RIGHT: Final = 6


@dataclass(frozen=True)
class ShownTriplet:
    """An eval triplet to show.

    ``faces``: three small JPEGs; ``votes``: how many named each the odd one out; ``odd_one_out``, 1..3, is the
    annotators', ``answer`` the model's (0: a tie). ``distances`` are those of faces a and b, a and c, b and c;
    ``margin`` by how much the pair that the annotators found alike is farther apart than the nearest other pair
    (below zero where the model agrees). ``name`` tells it from others shown, ``type`` is of TYPES.
    """

    name: str
    faces: tuple[bytes, bytes, bytes]
    votes: tuple[int, int, int]
    odd_one_out: int
    answer: int
    distances: tuple[float, float, float]
    margin: float
    type: str


def margins(triplets: Sequence[EvalTriplet], left_out: NDArray[Any]) -> NDArray[np.float64]:
    """By how much the annotators' pair is farther apart than the nearest other pair, float [n].

    ``left_out``: ``components.evaluate.accuracy.distances``, float [n, 3].
    """
    odd = np.array([triplet.odd_one_out for triplet in triplets], dtype=int) - 1
    rows = np.arange(len(triplets))
    others = np.array(left_out, np.float64)
    theirs = others[rows, odd]
    others[rows, odd] = np.inf
    found: NDArray[np.float64] = theirs - others.min(axis=1, initial=np.inf)
    return found


def mistakes(
    triplets: Sequence[EvalTriplet], answers: Sequence[int], left_out: NDArray[Any], jpegs: Mapping[str, bytes]
) -> list[ShownTriplet]:
    """The SHOWN_MISTAKES triplets answered otherwise than by the annotators, those with the largest margin first."""
    by = margins(triplets, left_out)
    wrong = [row for row, one in enumerate(triplets) if answers[row] != one.odd_one_out]
    worst = sorted(wrong, key=lambda row: (-round(float(by[row]), 5), _hash(triplets[row])))[:SHOWN_MISTAKES]
    return [
        _shown(f"{n}", triplets[row], answers[row], left_out[row], by[row], jpegs) for n, row in enumerate(worst, 1)
    ]


def some_right(
    triplets: Sequence[EvalTriplet], answers: Sequence[int], left_out: NDArray[Any], jpegs: Mapping[str, bytes]
) -> list[ShownTriplet]:
    """SHOWN_RIGHT triplets answered as by the annotators, chosen by hash."""
    by = margins(triplets, left_out)
    right = [row for row, one in enumerate(triplets) if answers[row] == one.odd_one_out]
    chosen = sorted(right, key=lambda row: _hash(triplets[row]))[:SHOWN_RIGHT]
    return [
        _shown(f"{n}", triplets[row], answers[row], left_out[row], by[row], jpegs) for n, row in enumerate(chosen, 1)
    ]


def _shown(
    name: str, triplet: EvalTriplet, answer: int, left_out: NDArray[Any], margin: float, jpegs: Mapping[str, bytes]
) -> ShownTriplet:
    a, b, c = (jpegs[face] for face in triplet.faces)
    first, second, third = (triplet.votes.count(face) for face in (1, 2, 3))
    bc, ac, ab = (float(distance) for distance in left_out)
    return ShownTriplet(
        name,
        (a, b, c),
        (first, second, third),
        triplet.odd_one_out,
        answer,
        (ab, ac, bc),
        float(margin),
        TYPES.get(triplet.type, ""),
    )


def _hash(triplet: EvalTriplet) -> bytes:
    return hashlib.sha256(" ".join(triplet.faces).encode()).digest()
