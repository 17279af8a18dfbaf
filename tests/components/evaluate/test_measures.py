"""Confusion, active triplets and nearest faces, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluate.accuracy import EvalTriplet, distances
from components.evaluate.confusion import confusions
from components.evaluate.geometry import active, geometry, nearest


def test_each_triplet_stands_where_annotators_and_model_meet() -> None:
    triplets = [EvalTriplet(("a", "b", "c"), odd, 1) for odd in (1, 1, 2, 3, 3)]
    groups = {"all": np.ones(5, bool), "first": np.arange(5) == 0}
    found = confusions(groups, triplets, [1, 2, 2, 0, 1])
    assert found["all"] == ((1, 1, 0, 0), (0, 1, 0, 0), (1, 0, 0, 1))
    assert found["first"] == ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))


def test_a_triplet_is_active_unless_the_odd_face_is_farther_by_the_margin() -> None:
    """Squared distances of the pair and to the nearer odd face: .04 and .15, where one-class asks for .1 more."""
    embeddings = {"a": np.array([0.0]), "b": np.array([0.2]), "c": np.array([0.2 + 0.15**0.5])}
    one, two = (EvalTriplet(("a", "b", "c"), 3, kind) for kind in (1, 2))
    wrong = EvalTriplet(("a", "b", "c"), 1, 1)
    triplets = [one, two, wrong]
    assert active(triplets, distances(triplets, embeddings)).tolist() == [False, True, True]


def test_the_nearest_of_the_faces_a_face_was_judged_beside_is_one_it_was_found_alike_with_or_not() -> None:
    """a and b are near, c far: with c odd every face but c is nearest to one it was found alike with."""
    embeddings = {"a": np.array([0.0]), "b": np.array([1.0]), "c": np.array([5.0])}
    found = nearest([EvalTriplet(("a", "b", "c"), 3, 1)], embeddings, 1)
    assert found is not None
    assert (found.alike, found.expected) == pytest.approx((2 / 3, 1 / 3))
    assert found.faces == 3
    assert nearest([EvalTriplet(("a", "b", "c"), 3, 1)], embeddings, 5) is None


def test_of_no_triplets_there_is_nothing_to_measure() -> None:
    found = geometry([], np.empty((0, 3)), {})
    assert (found.dimensions, found.active, found.nearest) == (None, None, ())
