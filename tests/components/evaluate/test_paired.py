"""Two models on the same triplets: counted by hand, and as sure as photographs allow."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluate.paired import Comparison, compared

ALONE = [[f"{n}a", f"{n}b", f"{n}c"] for n in range(400)]


def everything(count: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    return {"all": np.ones(count, dtype=bool)}


def test_each_triplet_is_counted_once_by_who_is_right() -> None:
    first, second = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool)
    found = compared(first, second, everything(5), ALONE[:5])["all"]
    assert (found.both, found.first, found.second, found.neither) == (1, 1, 2, 1)
    assert found.difference == pytest.approx(0.2)


def test_two_models_that_answer_alike_do_not_differ_at_all() -> None:
    right = np.arange(400) % 3 == 0
    found = compared(right, right, everything(400), ALONE)["all"]
    assert (found.difference, found.interval, found.differs) == (0.0, (0.0, 0.0), False)


def test_a_clear_difference_is_more_than_luck_and_a_slight_one_is_not() -> None:
    first = np.arange(400) % 2 == 0
    better, hardly = first | (np.arange(400) % 5 == 0), first | (np.arange(400) == 1)
    assert compared(first, better, everything(400), ALONE)["all"].differs
    assert not compared(first, hardly, everything(400), ALONE)["all"].differs


def test_a_difference_on_one_photograph_alone_says_little() -> None:
    """A tenth of the triplets are answered better, all of them with one photograph in them."""
    better = np.arange(400) < 40
    shared = [["one", *names[1:]] if n < 40 else names for n, names in enumerate(ALONE)]
    assert compared(np.zeros(400, bool), better, everything(400), ALONE)["all"].differs
    assert not compared(np.zeros(400, bool), better, everything(400), shared)["all"].differs


def test_the_interval_is_nowhere_narrower_than_that_of_independent_triplets() -> None:
    """Newcombe's method 1 for the table 36, 12, 2, 50 with the difference .10: .10 +- 1.96 sqrt(14 - 1) / 100."""
    found = Comparison(both=36, first=2, second=12, neither=50, bootstrap=(0.1, 0.1))
    assert found.interval == pytest.approx((0.0293, 0.1707), abs=1e-3)


def test_a_group_without_triplets_has_no_difference() -> None:
    found = compared(np.array([True]), np.array([True]), {"none": np.array([False])}, ALONE[:1])["none"]
    assert (found.count, found.difference, found.interval, found.differs) == (0, None, None, False)
