"""Which face the model calls odd where the annotators call which: a model that prefers a place has a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet

PLACES: Final = (1, 2, 3)
# The model's answer where distances are equal.
TIE: Final = 0

# A row for each face the annotators call odd (a, b, c), a column for the model's (a, b, c, none: a tie).
Confusion = tuple[tuple[int, ...], ...]


def confusions(
    groups: Mapping[str, NDArray[np.bool_]], triplets: Sequence[EvalTriplet], answers: Sequence[int]
) -> dict[str, Confusion]:
    """How many triplets of each of ``groups``, bool [n], have which of the annotators' odd faces and of the model's."""
    theirs = np.array([triplet.odd_one_out for triplet in triplets], dtype=int)
    given = np.array(answers, dtype=int)
    return {
        name: tuple(
            tuple(int((group & (theirs == odd) & (given == answer)).sum()) for answer in (*PLACES, TIE))
            for odd in PLACES
        )
        for name, group in groups.items()
    }
