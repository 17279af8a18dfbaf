"""The embedding to look at: a map of the eval faces, and faces with those nearest to them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fec.projection import principal_plane

# Faces on the map: each a picture of two kilobytes on the page.
MAPPED: Final = 280
QUERIES: Final = 12
NEIGHBOURS: Final = 6
# Faces of which those are drawn; the hash of their ids says which of all there are.
_CANDIDATES: Final = 4000
# Cells of the map for each face on it, and how wide the map is for its height.
_ROOM: Final = 1.7
_ASPECT: Final = 1.9
# A face whose place is taken goes this many cells away at the most.
_REACH: Final = 2
# Faces beyond these percentiles of an axis lie on the map's edge.
_EDGES: Final = (1.0, 99.0)


@dataclass(frozen=True)
class ShownFace:
    """A face to show: its id, a small JPEG, and how far it is from the one it is shown beside."""

    face_id: str
    jpeg: bytes
    distance: float = 0.0


@dataclass(frozen=True)
class Placed:
    """A face on the map, by the cell it lies in."""

    face: ShownFace
    column: int
    row: int


@dataclass(frozen=True)
class FaceMap:
    """Faces on a grid of ``columns`` x ``rows``; ``share``: of the embedding's variance, what the two axes show;
    ``of``: how many faces there are in all."""

    placed: tuple[Placed, ...]
    columns: int
    rows: int
    share: float
    of: int


@dataclass(frozen=True)
class Query:
    """A face and those nearest to it, of other photographs."""

    face: ShownFace
    nearest: tuple[ShownFace, ...]


def face_map(embeddings: Mapping[str, NDArray[Any]], jpegs: Mapping[str, bytes]) -> FaceMap:
    """MAPPED of the faces on the plane of all, none over another: one whose place is taken moves a little, or goes."""
    ids, vectors = _in_order(embeddings)
    if not ids:
        return FaceMap((), 0, 0, 0.0, 0)
    plane = principal_plane(vectors)
    ids, vectors = ids[:_CANDIDATES], vectors[:_CANDIDATES]
    cells = _ROOM * min(len(ids), MAPPED)
    columns = max(1, round(math.sqrt(cells * _ASPECT)))
    rows = max(1, math.ceil(cells / columns))
    points = plane.of(vectors)
    low, high = np.percentile(points, _EDGES, axis=0)
    scaled = np.clip((points - low) / np.maximum(high - low, 1e-12), 0, 1) * (columns - 1, rows - 1)
    taken: dict[tuple[int, int], str] = {}
    for face, (x, y) in zip(ids, scaled, strict=True):
        if len(taken) == MAPPED:
            break
        if (cell := _free_cell(taken, x, rows - 1 - y, columns, rows)) is not None:
            taken[cell] = face
    placed = [Placed(ShownFace(face, jpegs[face]), *cell) for cell, face in sorted(taken.items())]
    return FaceMap(tuple(placed), columns, rows, plane.share, len(embeddings))


def queries(
    embeddings: Mapping[str, NDArray[Any]], jpegs: Mapping[str, bytes], photographs: Mapping[str, str]
) -> list[Query]:
    """QUERIES faces far from each other, each with the NEIGHBOURS nearest to it of other photographs."""
    ids, vectors = _in_order(embeddings)
    pictures = np.array([photographs[face] for face in ids])
    found = []
    for row in _far_apart(vectors[:_CANDIDATES], QUERIES):
        distances = np.linalg.norm(vectors - vectors[row], axis=1)
        others = np.flatnonzero(pictures != pictures[row])
        nearest = others[np.argsort(distances[others], kind="stable")[:NEIGHBOURS]]
        shown = tuple(ShownFace(ids[near], jpegs[ids[near]], float(distances[near])) for near in nearest)
        found.append(Query(ShownFace(ids[row], jpegs[ids[row]]), shown))
    return found


def _in_order(embeddings: Mapping[str, NDArray[Any]]) -> tuple[list[str], NDArray[np.float64]]:
    """The faces in the order of their ids' hashes, and their vectors, float [n, d]."""
    ids = sorted(embeddings, key=lambda face: hashlib.sha256(face.encode()).digest())
    return ids, np.array([embeddings[face] for face in ids], np.float64)


def _far_apart(vectors: NDArray[np.float64], count: int) -> Sequence[int]:
    """Up to ``count`` rows, each as far as can be from those before it (Gonzalez 1985); none of equal vectors."""
    chosen: list[int] = []
    nearest = np.full(len(vectors), np.inf)
    while len(chosen) < min(count, len(vectors)) and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
    return chosen


def _free_cell(
    taken: Mapping[tuple[int, int], str], x: float, y: float, columns: int, rows: int
) -> tuple[int, int] | None:
    """The free cell nearest to a place, within _REACH of it."""
    near = [
        (math.hypot(column - x, row - y), (column, row))
        for column in range(max(0, round(x) - _REACH), min(columns, round(x) + _REACH + 1))
        for row in range(max(0, round(y) - _REACH), min(rows, round(y) + _REACH + 1))
        if (column, row) not in taken
    ]
    return min(near)[1] if near else None
