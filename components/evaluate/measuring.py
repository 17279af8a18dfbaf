"""All that is measured of a model on the eval triplets, and how ``metrics.json`` tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate import accuracy, raters
from components.evaluate.accuracy import CHANCE, TYPES, EvalTriplet, Score
from components.evaluate.confusion import Confusion, confusions
from components.evaluate.geometry import Geometry, geometry
from components.evaluate.leaks import Excluded
from components.evaluate.parameters import LEVELS
from fec.layout import EVAL
from fec.subsets import SEPARATOR, Subset


@dataclass(frozen=True)
class Measured:
    """The ``triplets`` that count, the model's ``answers``, ``accuracy.distances``, and what follows from them.

    ``without``: the scores of those that share nothing of a level of ``leaks.LEVELS`` with train. ``excluded``: what
    was left out beforehand, if that was asked for.
    """

    triplets: Sequence[EvalTriplet]
    left_out: NDArray[np.float64]
    answers: Sequence[int]
    scores: Mapping[str, Score]
    by_agreement: Mapping[str, Score]
    raters: Mapping[str, Score]
    pixel_baseline: Score
    without: Mapping[str, Score]
    excluded: Excluded | None
    confusions: Mapping[str, Confusion]
    geometry: Geometry

    @property
    def subset(self) -> Subset:
        """The triplets that count, as a list of them that another group can hold its own against."""
        return Subset({EVAL: frozenset(SEPARATOR.join(triplet.faces) for triplet in self.triplets)})


def measured(
    triplets: Sequence[EvalTriplet],
    embeddings: Mapping[str, NDArray[Any]],
    pixels: Mapping[str, NDArray[Any]],
    photographs: Mapping[str, str],
    sharing: Mapping[str, NDArray[np.bool_]],
    exclude: str,
) -> Measured:
    """What the ``embeddings`` of faces, and their ``pixels``, make of the triplets.

    ``photographs``: the photograph's id by the face's; ``sharing``: which triplets share something of each level with
    train (``leaks.sharing``); those of the level ``exclude`` are left out, if it is one.
    """
    excluded = None
    if exclude in LEVELS:
        kept = ~sharing[exclude]
        excluded = Excluded(exclude, int((~kept).sum()), len(triplets))
        triplets = [triplet for triplet, keep in zip(triplets, kept, strict=True) if keep]
        sharing = {level: which[kept] for level, which in sharing.items()}
    left_out = accuracy.distances(triplets, embeddings)
    answers = accuracy.answers(left_out)
    types = np.array([triplet.type for triplet in triplets], dtype=int)
    everything = {"overall": np.ones(len(triplets), dtype=bool)}
    agreements = raters.by_agreement(triplets)
    return Measured(
        triplets=triplets,
        left_out=left_out,
        answers=answers,
        scores=accuracy.scores(triplets, answers, photographs),
        by_agreement=accuracy.scores_of(agreements, triplets, answers, photographs),
        raters=raters.leave_one_out(triplets),
        pixel_baseline=accuracy.scores(triplets, accuracy.odd_ones_out(triplets, pixels), photographs)["overall"],
        without=accuracy.scores_of({level: ~which for level, which in sharing.items()}, triplets, answers, photographs),
        excluded=excluded,
        confusions=confusions(
            everything | {name: types == kind for kind, name in TYPES.items()} | agreements, triplets, answers
        ),
        geometry=geometry(triplets, left_out, embeddings),
    )


def as_json(found: Measured) -> dict[str, Any]:
    """What ``metrics.json`` says of it; an absent accuracy is null."""
    scores = found.scores
    return {
        "triplet_accuracy": {name: score.accuracy for name, score in scores.items()},
        "counts": {name: score.count for name, score in scores.items()},
        "right": {name: score.right for name, score in scores.items()},
        "interval_95": {name: score.interval if score.count else None for name, score in scores.items()},
        "interval_95_wilson": {name: score.wilson if score.count else None for name, score in scores.items()},
        "by_agreement": _accuracies(found.by_agreement),
        "raters": {name: {"accuracy": score.accuracy, "votes": score.count} for name, score in found.raters.items()},
        "chance": CHANCE,
        "by_pixels": found.pixel_baseline.accuracy,
        "by_pixels_interval_95": found.pixel_baseline.interval if found.pixel_baseline.count else None,
        "without_shared": _accuracies(found.without),
        "excluded": None if found.excluded is None else asdict(found.excluded),
        "confusion": {name: table for name, table in found.confusions.items() if any(map(any, table))},
        "embedding": {
            "effective_dimensions": found.geometry.dimensions,
            "active_triplets": found.geometry.active,
            "nearest_judged": [asdict(one) for one in found.geometry.nearest],
        },
    }


def _accuracies(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {
        name: {"accuracy": score.accuracy, "count": score.count, "interval_95": score.interval}
        for name, score in scores.items()
        if score.count
    }
