"""The loss and the accuracy, against arithmetic by hand and the mistakes public code makes."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from components.train.loss import (
    TEMPERATURE,
    agreement,
    likelihood_loss,
    margin_loss,
    pair_distances,
    triplet_accuracy,
)

# On a line: a at 0, b at 1, c at 3. Squared: ab 1, bc 4, ac 9.
POINTS = np.array([[[0.0], [1.0], [3.0]]], dtype=np.float32)


@pytest.mark.parametrize(
    ("odd", "similar", "others"),
    [(1, 4.0, {1.0, 9.0}), (2, 9.0, {1.0, 4.0}), (3, 1.0, {4.0, 9.0})],
)
def test_the_similar_pair_is_the_one_that_leaves_out_the_odd_face(odd: int, similar: float, others: set[float]) -> None:
    distances = [float(value[0]) for value in pair_distances(POINTS, np.array([odd]))]
    assert distances[0] == similar
    assert set(distances[1:]) == others


@pytest.mark.parametrize(("kind", "margin"), [(1, 0.1), (2, 0.2), (3, 0.2)])
def test_the_loss_is_two_sided_on_squared_distances_with_the_types_margin(kind: int, margin: float) -> None:
    loss = float(margin_loss(POINTS, np.array([1]), np.array([kind]), 0.1, 0.2)[0])
    assert loss == pytest.approx((4 - 1 + margin) + max(0, 4 - 9 + margin))


def test_a_collapsed_model_scores_nothing() -> None:
    collapsed = np.ones((6, 3, 16), dtype=np.float32)
    assert float(keras.ops.mean(triplet_accuracy(collapsed, np.array([1, 2, 3, 1, 2, 3])))) == 0.0


def test_a_tie_is_wrong() -> None:
    tied = np.array([[[0.0], [1.0], [-1.0]]], dtype=np.float32)  # ab and ac are equally close
    assert [float(triplet_accuracy(tied, np.array([odd]))[0]) for odd in (1, 2, 3)] == [0.0, 0.0, 0.0]


def test_accuracy_and_loss_do_not_depend_on_the_order_of_the_faces() -> None:
    faces = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    outcomes = set()
    for order in itertools.permutations(range(3)):
        odd = order.index(2) + 1
        embeddings, label = faces[None, list(order)], np.array([odd])
        loss = float(margin_loss(embeddings, label, np.array([2]), 0.1, 0.2)[0])
        outcomes.add((round(loss, 4), float(triplet_accuracy(embeddings, label)[0])))
    assert len(outcomes) == 1


def test_the_likelihood_is_that_of_all_votes() -> None:
    # Left out: a 4, b 9, c 1. Odds of e to minus those over the temperature.
    weights = np.exp(-np.array([4.0, 9.0, 1.0]) / TEMPERATURE)
    logs = np.log(weights / weights.sum())
    loss = float(likelihood_loss(POINTS, np.array([[2, 0, 4]]))[0])
    assert loss == pytest.approx(-(2 * logs[0] + 4 * logs[2]) / 6)


def test_agreement_is_the_share_of_the_consensus() -> None:
    shares = agreement(np.array([3, 1]), np.array([[1, 1, 4], [6, 0, 0]]))
    assert [float(share) for share in shares] == pytest.approx([4 / 6, 1.0])
