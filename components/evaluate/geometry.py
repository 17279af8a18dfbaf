"""What the embedding is like beyond its accuracy: how many of its dimensions it uses, and what it still could learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet
from fec.projection import effective_dimensions

# Vemulapalli & Agarwala (CVPR 2019, section 4): margins of squared distances of one-class triplets, and of all others.
_MARGINS: Final = (0.1, 0.2)
# Nearest faces that are looked at.
NEAREST: Final = (1, 5)


@dataclass(frozen=True)
class Nearest:
    """Of the ``k`` nearest faces among those a face was judged beside, the share that it was judged ``alike`` with;
    ``expected``: the same of all of them, near or not; over ``faces`` that were judged beside more than k."""

    k: int
    alike: float
    expected: float
    faces: int


@dataclass(frozen=True)
class Geometry:
    """``dimensions``: the effective ones, 1 to as many as there are; ``active``: the share of eval triplets that the
    paper's loss is not content with. None where there is nothing to measure."""

    dimensions: float | None
    active: float | None
    nearest: tuple[Nearest, ...]


def geometry(
    triplets: Sequence[EvalTriplet], left_out: NDArray[Any], embeddings: Mapping[str, NDArray[Any]]
) -> Geometry:
    """That of the ``embeddings`` of eval's faces; ``left_out``: ``components.evaluate.accuracy.distances``."""
    vectors = np.array(list(embeddings.values()), np.float64)
    return Geometry(
        effective_dimensions(vectors) if len(vectors) > 1 else None,
        float(active(triplets, left_out).mean()) if len(triplets) else None,
        tuple(found for k in NEAREST if (found := nearest(triplets, embeddings, k)) is not None),
    )


def active(triplets: Sequence[EvalTriplet], left_out: NDArray[Any]) -> NDArray[np.bool_]:
    """Which triplets have a loss above nought with the paper's margins: bool [n]."""
    odd = np.array([triplet.odd_one_out for triplet in triplets], dtype=int) - 1
    margins = np.where([triplet.type == 1 for triplet in triplets], *_MARGINS)
    squared = np.square(np.asarray(left_out, np.float64))
    rows = np.arange(len(triplets))
    pair = squared[rows, odd]
    squared[rows, odd] = np.inf
    found: NDArray[np.bool_] = pair - squared.min(axis=1, initial=np.inf) + margins > 0
    return found


def nearest(triplets: Sequence[EvalTriplet], embeddings: Mapping[str, NDArray[Any]], k: int) -> Nearest | None:
    """How often the ``k`` nearest of the faces somebody judged a face beside are such as it was found alike with.

    Two faces that several triplets show together count as alike as often as those say so.
    """
    beside: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for triplet in triplets:
        for one, other, third in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
            alike = triplet.odd_one_out == third + 1
            beside[triplet.faces[one]][triplet.faces[other]].append(alike)
            beside[triplet.faces[other]][triplet.faces[one]].append(alike)
    near, base = [], []
    for face, others in beside.items():
        if len(others) <= k:
            continue
        shares = np.array([np.mean(said) for said in others.values()])
        vectors = np.array([embeddings[other] for other in others], np.float64)
        distances = np.square(vectors - embeddings[face]).sum(axis=1)
        near.append(shares[np.argsort(distances, kind="stable")[:k]].mean())
        base.append(shares.mean())
    return Nearest(k, float(np.mean(near)), float(np.mean(base)), len(near)) if near else None
