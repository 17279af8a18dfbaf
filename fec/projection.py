"""How an embedding is spread: a plane to look at it on, its two principal axes, and how many axes it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Projection:
    """``centre`` float [d] and ``axes`` float [2, d] of a plane, and the ``share`` of the variance that it shows."""

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    share: float

    def of(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Where ``vectors``, float [n, d], lie on the plane: float [n, 2]."""
        placed: NDArray[np.float64] = (np.asarray(vectors, np.float64) - self.centre) @ self.axes.T
        return placed


def principal_plane(vectors: NDArray[Any]) -> Projection:
    """The plane that shows most of how ``vectors``, float [n, d] with n and d at least 1, differ from each other.

    The axes point to where their largest component is positive, so the same vectors give the same plane. What is
    linear places a new vector on the same map, which t-SNE and UMAP do not.
    """
    values = np.asarray(vectors, np.float64)
    centre = values.mean(axis=0)
    spread = (values - centre).T @ (values - centre) / len(values)
    variances, directions = np.linalg.eigh(spread)
    axes = np.zeros((2, values.shape[1]))
    chosen = directions.T[::-1][:2]
    axes[: len(chosen)] = chosen * np.sign(chosen[np.arange(len(chosen)), np.abs(chosen).argmax(axis=1)])[:, None]
    total = float(variances.sum())
    return Projection(centre, axes, float(variances[::-1][:2].sum()) / total if total > 0 else 1.0)


def effective_dimensions(vectors: NDArray[Any]) -> float | None:
    """The participation ratio of the covariance of ``vectors`` [n, d]: 1 if all lie on a line, d if no direction is
    preferred (Gao et al. 2017, A theory of multineuronal dimensionality); None if all are equal."""
    variances = np.linalg.eigvalsh(np.cov(np.asarray(vectors, np.float64).T).reshape(vectors.shape[1], -1))
    total = float(variances.sum())
    return total**2 / float(np.square(variances).sum()) if total > 1e-12 else None
