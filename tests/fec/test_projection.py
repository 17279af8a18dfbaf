"""The plane on which an embedding is looked at, and the dimensions that it uses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fec.projection import effective_dimensions, principal_plane


def flat(seed: int = 0) -> NDArray[np.float64]:
    """Points of a plane in five dimensions, three times as wide as high, away from the origin."""
    chance = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(chance.normal(size=(5, 2)))
    return np.asarray(chance.normal(size=(400, 2)) * (3, 1) @ axes.T + 7)


def test_a_plane_is_shown_whole() -> None:
    vectors = flat()
    plane = principal_plane(vectors)
    placed = plane.of(vectors)
    assert plane.share == pytest.approx(1)
    assert placed[:, 0].std() > 2 * placed[:, 1].std()
    apart = np.linalg.norm(vectors[:50, None] - vectors[None, :50], axis=2)
    assert np.allclose(np.linalg.norm(placed[:50, None] - placed[None, :50], axis=2), apart)


def test_the_order_of_the_vectors_makes_no_difference() -> None:
    vectors = flat()
    assert np.allclose(principal_plane(vectors).axes, principal_plane(vectors[::-1]).axes)


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.ones((4, 3)), np.arange(3.0)[:, None]], ids=str)
def test_vectors_without_a_plane_have_a_place_all_the_same(vectors: NDArray[np.float64]) -> None:
    placed = principal_plane(vectors).of(vectors)
    assert placed.shape == (len(vectors), 2)
    assert np.isfinite(placed).all()


@pytest.mark.parametrize(
    ("vectors", "dimensions"),
    [
        (np.outer(np.arange(9.0), [1, 2, 3]), 1.0),
        (np.concatenate([np.eye(4), -np.eye(4)]), 4.0),
        (np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]]), 25 / 17),
    ],
    ids=["a line", "all alike", "one twice as wide"],
)
def test_effective_dimensions_are_those_of_the_spread(vectors: NDArray[np.float64], dimensions: float) -> None:
    assert effective_dimensions(vectors) == pytest.approx(dimensions)


def test_a_collapsed_embedding_has_no_dimension() -> None:
    assert effective_dimensions(np.ones((5, 3))) is None
