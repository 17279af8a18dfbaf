"""What the votes say: how far the annotators agree, and how often one of them picks what the others picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import TYPES, EvalTriplet, Score

# By the share of votes for the consensus: the name, and from which share on; the first that fits.
AGREEMENTS: Final = {"all_votes": 1.0, "four_fifths": 0.8, "fewer": 0.0}


def by_agreement(triplets: Sequence[EvalTriplet]) -> dict[str, NDArray[np.bool_]]:
    """Which triplets are of each of AGREEMENTS; those without votes are of none."""
    shares = np.array([_share(triplet) for triplet in triplets], dtype=float)
    groups, above = {}, np.inf
    for name, least in AGREEMENTS.items():
        groups[name] = (shares >= least) & (shares < above)
        above = least
    return groups


def leave_one_out(triplets: Sequence[EvalTriplet]) -> Mapping[str, Score]:
    """How many votes name what most other votes on the triplet name, ``overall`` and by type.

    A vote is not counted where the others have no single most frequent face.
    """
    right, count = dict.fromkeys(TYPES, 0), dict.fromkeys(TYPES, 0)
    for triplet in triplets:
        counts = [triplet.votes.count(face) for face in (1, 2, 3)]
        for vote in (1, 2, 3):
            if times := counts[vote - 1]:
                others = [number - (face == vote) for face, number in enumerate(counts, start=1)]
                if others.count(most := max(others)) == 1:
                    count[triplet.type] += times
                    right[triplet.type] += times * (others[vote - 1] == most)
    scores = {"overall": Score(sum(right.values()), sum(count.values()))}
    return scores | {name: Score(right[number], count[number]) for number, name in TYPES.items()}


def _share(triplet: EvalTriplet) -> float:
    votes = triplet.votes
    return votes.count(triplet.odd_one_out) / len(votes) if votes else -1.0
