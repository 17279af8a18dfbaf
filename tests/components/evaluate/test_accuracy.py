"""Accuracy is strict, by type, and as sure as its count allows."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from components.evaluate.accuracy import EvalTriplet, Score, odd_ones_out, scores

EMBEDDINGS = {name: np.array([place]) for name, place in {"a": 0.0, "b": 1.0, "c": 3.0, "d": 2.0}.items()}
PHOTOGRAPHS = {"a": "one", "b": "two", "c": "two", "d": "three"}


@pytest.mark.parametrize(
    ("faces", "odd"), [(("a", "b", "c"), 3), (("c", "a", "b"), 1), (("b", "c", "a"), 2), (("a", "b", "d"), 0)]
)
def test_the_odd_one_out_is_what_the_strictly_closest_pair_leaves_out(faces: tuple[str, str, str], odd: int) -> None:
    assert odd_ones_out([EvalTriplet(faces, 1, 1)], EMBEDDINGS) == [odd]


def test_a_collapsed_model_is_never_right() -> None:
    triplets = [EvalTriplet(("a", "b", "c"), odd, 1) for odd in (1, 2, 3)]
    answers = odd_ones_out(triplets, dict.fromkeys("abc", np.ones(16)))
    assert scores(triplets, answers, PHOTOGRAPHS)["overall"] == Score(0, 3)


def test_scores_are_kept_apart_by_type_and_absent_types_have_no_accuracy() -> None:
    triplets = [
        EvalTriplet(("a", "b", "c"), 3, 1),
        EvalTriplet(("a", "b", "c"), 1, 1),
        EvalTriplet(("a", "b", "c"), 3, 2),
    ]
    found = scores(triplets, [3, 3, 3], PHOTOGRAPHS)
    assert (found["overall"], found["one_class"], found["two_class"]) == (Score(2, 3), Score(1, 2), Score(1, 1))
    assert found["three_class"].accuracy is None


def test_without_a_bootstrap_the_interval_is_wilsons() -> None:
    low, high = Score(8, 10).interval  # Newcombe 1998: 49.02 % to 94.33 %
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert Score(0, 0).interval == (0.0, 1.0)


def test_triplets_that_share_photographs_say_less_than_as_many_that_share_none() -> None:
    """Of 40 photographs half are always right and half never, in 50 triplets each, beside two of their own."""
    triplets = [EvalTriplet((f"s{n % 40}", f"b{n}", f"c{n}"), 1, 1) for n in range(2000)]
    answers = [n % 2 for n in range(2000)]
    sharing = scores(triplets, answers, {face: face for triplet in triplets for face in triplet.faces})["overall"]
    low, high = sharing.interval
    # The shared ones alone: 1.96 * sqrt(0.25 / 40) = .155 to each side; Wilson's is .022.
    assert (high - low) / 2 == pytest.approx(0.155, rel=0.1)
    assert sharing.wilson[0] > 0.47

    triplets = [EvalTriplet((f"a{n}", f"b{n}", f"c{n}"), 1, 1) for n in range(2000)]
    alone = scores(triplets, answers, {face: face for triplet in triplets for face in triplet.faces})["overall"]
    low, high = alone.interval
    assert 0.022 <= (high - low) / 2 <= 1.85 * 0.022


def test_an_interval_is_the_same_in_every_process() -> None:
    """Python's own order of a set is another in each."""
    work = (
        "from components.evaluate.accuracy import *\n"
        "triplets = [EvalTriplet((f's{n % 4}', f'b{n}', f'c{n}'), 1, 1) for n in range(40)]\n"
        "photographs = {face: face for triplet in triplets for face in triplet.faces}\n"
        "print(scores(triplets, [n % 2 for n in range(40)], photographs)['overall'].interval)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", work], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_no_wrong_answer_is_no_certainty() -> None:
    triplets = [EvalTriplet(("a", "b", "c"), 3, 1)] * 3
    found = scores(triplets, [3, 3, 3], PHOTOGRAPHS)["overall"]
    assert found.bootstrap == (1.0, 1.0)
    assert found.interval == found.wilson
    assert found.interval[0] < 0.5


@pytest.mark.parametrize(("right", "better"), [(30, False), (40, False), (45, True), (100, True), (0, False)])
def test_better_than_chance_is_an_interval_above_one_third(right: int, better: bool) -> None:
    """Of 100 triplets, 40 right are 31 % to 50 %, and 45 are 36 % to 55 %."""
    assert Score(right, 100).above_chance is better
