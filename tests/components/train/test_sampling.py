"""Batches are balanced by type, but a rare type is not shown without end."""

from __future__ import annotations

import numpy as np
import pytest

from components.train.sampling import order, shares


def test_a_batch_holds_as_many_triplets_of_each_type() -> None:
    types = np.array([1] * 30 + [2] * 50 + [3] * 20)
    for rows in order(types, steps=7, batch_size=30, cap=4.0, seed=0):
        assert np.bincount(types[rows], minlength=4).tolist() == [0, 10, 10, 10]


def test_types_that_do_not_occur_get_nothing() -> None:
    assert shares({1: 0, 2: 5, 3: 0}, 4.0) == {2: 1.0}


def test_one_triplet_of_a_type_among_two_thousand_is_seen_no_more_than_the_cap_says() -> None:
    types = np.array([1] + [2] * 2000)
    rows = order(types, steps=100, batch_size=40, cap=4.0, seed=0)
    assert 0 < (rows == 0).sum() <= 4 * rows.size / len(types) + 1


def test_what_a_capped_type_leaves_goes_to_the_others() -> None:
    assert shares({1: 10, 2: 495, 3: 495}, 4.0) == pytest.approx({1: 0.04, 2: 0.48, 3: 0.48})


def test_every_triplet_comes_once_before_one_comes_again() -> None:
    rows = order(np.array([2] * 60), steps=6, batch_size=20, cap=4.0, seed=0)
    assert sorted(rows[:3].ravel()) == sorted(rows[3:].ravel()) == list(range(60))


def test_the_order_is_the_seeds() -> None:
    types = np.array([1, 2, 3] * 20)
    one, again, other = (order(types, 4, 6, 4.0, seed) for seed in (-1, -1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
