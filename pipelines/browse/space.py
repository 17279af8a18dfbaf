"""A run's embedding of a root's faces: who is near whom, the model's answers, and the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.evaluate.accuracy import answers as odd_ones_out
from fec import layout
from fec.embeddings import read_embeddings
from fec.errors import ConfigurationError
from fec.projection import Projection, principal_plane
from fec.storage import Storage

COLUMNS: Final = 24
ROWS: Final = 13
MAX_ZOOM: Final = 64.0
# Faces beyond these percentiles of an axis lie on the map's edge.
_EDGES: Final = (0.5, 99.5)
# The map's own edge belongs to its last cells.
_EPSILON: Final = 1e-9
_TABLE: Final = "embeddings.parquet"


@dataclass(frozen=True)
class Near:
    """A face near another, ``distance`` 0..2."""

    split: str
    face_id: str
    distance: float


@dataclass(frozen=True)
class Cell:
    """A face on the map, by the cell it lies in, and how many others lie there too."""

    split: str
    face_id: str
    column: int
    row: int
    others: int


@dataclass(frozen=True)
class View:
    """A part of the map about ``x`` and ``y`` (0..1 of its width and height), ``zoom`` times as large as all of it."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def moved(self, across: float, down: float) -> View:
        """The same, by that many of its own widths and heights away, within the map."""
        return View(_within(self.x + across / self.zoom), _within(self.y + down / self.zoom), self.zoom)

    def zoomed(self, by: float) -> View:
        """The same place, so many times as large."""
        return View(self.x, self.y, min(MAX_ZOOM, max(1.0, self.zoom * by)))


class Space:
    """The vectors of a run, float32 [n, d] of length 1, with the faces they are of."""

    def __init__(self, run: str, splits: Sequence[str], face_ids: Sequence[str], images: Any, vectors: Any) -> None:
        self.run = run
        self._splits, self._ids = np.array(splits), np.array(face_ids)
        self._images = np.array(images)
        self.vectors: NDArray[np.float32] = np.ascontiguousarray(vectors, np.float32)
        self._known = {
            split: pa.array(self._ids.tolist(), pa.string(), mask=self._splits != split) for split in layout.SPLITS
        }

    def __len__(self) -> int:
        return len(self._ids)

    def row_of(self, split: str, face_id: str) -> int | None:
        """The row of a face; None for one that the run has no vector of."""
        rows = np.flatnonzero((self._ids == face_id) & (self._splits == split))
        return int(rows[0]) if len(rows) else None

    def near_face(self, row: int, count: int) -> list[Near]:
        """The ``count`` faces nearest to the one of ``row``, of other photographs."""
        return self._nearest(self.vectors[row], count, self._images != self._images[row])

    def near(self, vector: NDArray[np.float32], count: int) -> list[Near]:
        """The ``count`` faces nearest to a vector."""
        return self._nearest(vector, count, np.ones(len(self), dtype=bool))

    def _nearest(self, vector: NDArray[np.float32], count: int, among: NDArray[np.bool_]) -> list[Near]:
        apart = np.where(among, np.linalg.norm(self.vectors - vector, axis=1), np.inf)
        first = np.argpartition(apart, min(2 * count, len(apart) - 1))[: 2 * count]
        order = first[np.argsort(apart[first], kind="stable")]
        # A face that both splits use has a vector in each.
        found: dict[str, Near] = {}
        for row in order[np.isfinite(apart[order])]:
            face = str(self._ids[row])
            found.setdefault(face, Near(str(self._splits[row]), face, float(apart[row])))
        return list(found.values())[:count]

    def answers(self, faces: Sequence[Any], split: str) -> pa.Array:
        """The model's odd one out of triplets, by the ids of their faces a, b, c: int8, 1..3, 0 for a tie; null where
        a face has no vector."""
        known = self._known[split]
        places = [pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy() for column in faces]
        missing = np.min(places, axis=0) < 0
        a, b, c = (self.vectors[np.maximum(place, 0)] for place in places)
        left_out = np.stack([np.linalg.norm(one - other, axis=1) for one, other in ((b, c), (a, c), (a, b))], axis=1)
        return pa.array(np.array(odd_ones_out(left_out), np.int8), mask=missing)

    def distances(self, rows: Sequence[int]) -> tuple[float, ...]:
        """Of the faces of three rows, those of a and b, a and c, b and c."""
        a, b, c = self.vectors[list(rows)]
        return tuple(float(np.linalg.norm(one - other)) for one, other in ((a, b), (a, c), (b, c)))

    @cached_property
    def plane(self) -> Projection:
        """The plane of the map."""
        return principal_plane(self.vectors)

    @cached_property
    def _edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = np.percentile(self.plane.of(self.vectors), _EDGES, axis=0)
        return low, np.maximum(high - low, 1e-12)

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return self._on_the_map(self.vectors)

    def _on_the_map(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        low, size = self._edges
        x, y = np.clip((self.plane.of(vectors) - low) / size, _EPSILON, 1 - _EPSILON).T
        return np.stack([x, 1 - y], axis=1)

    def place_of(self, vector: NDArray[np.float32]) -> tuple[float, float]:
        """Where a vector lies on the map, 0..1 of its width and height."""
        x, y = self._on_the_map(vector[None])[0]
        return float(x), float(y)

    def cells(self, view: View) -> list[Cell]:
        """One face for each cell of the part of the map that is looked at, and how many more lie there."""
        corner = np.array([view.x, view.y]) - 0.5 / view.zoom
        at = (self._places - corner) * view.zoom * (COLUMNS, ROWS)
        cells = np.floor(at).astype(int)
        inside = np.flatnonzero(((cells >= 0) & (cells < (COLUMNS, ROWS))).all(axis=1))
        numbers = cells[inside] @ (ROWS, 1)
        _, first, counts = np.unique(numbers, return_index=True, return_counts=True)
        return [
            Cell(str(self._splits[row]), str(self._ids[row]), int(cells[row, 0]), int(cells[row, 1]), int(count) - 1)
            for row, count in zip(inside[first], counts, strict=True)
        ]


def read_space(storage: Storage, run: str) -> Space | None:
    """The embedding of ``run``, or of the one run that has one; None where none has.

    Raises ConfigurationError for a run that has none, and where several have and none is named.
    """
    runs = sorted(entry.path.split("/")[1] for entry in storage.list("reports") if entry.path.endswith(f"/{_TABLE}"))
    if not run:
        if len(runs) > 1:
            raise ConfigurationError(f"{storage.root} has several runs, name one: --run {', --run '.join(runs)}")
        if not runs:
            return None
        (run,) = runs
    found = read_embeddings(storage, run)
    return Space(run, found.splits, found.face_ids, found.image_ids, found.vectors)


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
