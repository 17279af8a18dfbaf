"""Accuracy is strict, by type, and as sure as its count allows."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluate.accuracy import EvalTriplet, Score, odd_ones_out, scores

EMBEDDINGS = {name: np.array([place]) for name, place in {"a": 0.0, "b": 1.0, "c": 3.0, "d": 2.0}.items()}


@pytest.mark.parametrize(
    ("faces", "odd"), [(("a", "b", "c"), 3), (("c", "a", "b"), 1), (("b", "c", "a"), 2), (("a", "b", "d"), 0)]
)
def test_the_odd_one_out_is_what_the_strictly_closest_pair_leaves_out(faces: tuple[str, str, str], odd: int) -> None:
    assert odd_ones_out([EvalTriplet(faces, 1, 1)], EMBEDDINGS) == [odd]


def test_a_collapsed_model_is_never_right() -> None:
    triplets = [EvalTriplet(("a", "b", "c"), odd, 1) for odd in (1, 2, 3)]
    answers = odd_ones_out(triplets, dict.fromkeys("abc", np.ones(16)))
    assert scores(triplets, answers)["overall"] == Score(0, 3)


def test_scores_are_kept_apart_by_type_and_absent_types_have_no_accuracy() -> None:
    triplets = [
        EvalTriplet(("a", "b", "c"), 3, 1),
        EvalTriplet(("a", "b", "c"), 1, 1),
        EvalTriplet(("a", "b", "c"), 3, 2),
    ]
    found = scores(triplets, [3, 3, 3])
    assert (found["overall"], found["one_class"], found["two_class"]) == (Score(2, 3), Score(1, 2), Score(1, 1))
    assert found["three_class"].accuracy is None


def test_the_interval_is_wilsons() -> None:
    low, high = Score(8, 10).interval  # Newcombe 1998: 49.02 % to 94.33 %
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert Score(0, 0).interval == (0.0, 1.0)


@pytest.mark.parametrize(("right", "better"), [(30, False), (40, False), (45, True), (100, True), (0, False)])
def test_better_than_chance_is_an_interval_above_one_third(right: int, better: bool) -> None:
    """Of 100 triplets, 40 right are 31 % to 50 %, and 45 are 36 % to 55 %."""
    assert Score(right, 100).above_chance is better
