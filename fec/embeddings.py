"""Where a run's model puts the faces of its root: ``reports/<run>/embeddings.parquet``, as evaluate writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fec import layout, tables
from fec.errors import ConfigurationError
from fec.rows import EmbeddedFace
from fec.storage import Storage


@dataclass(frozen=True)
class Embeddings:
    """Faces with their ``vectors``, float32 [n, d] of length 1; the ids, photographs and splits are n as well.

    A face that both splits use stands there twice.
    """

    face_ids: Sequence[str]
    image_ids: Sequence[str]
    splits: Sequence[str]
    vectors: NDArray[np.float32]

    def of_split(self, split: str) -> Embeddings:
        """Those of one split."""
        rows = [row for row, name in enumerate(self.splits) if name == split]
        return self._taken(rows)

    def _taken(self, rows: Sequence[int]) -> Embeddings:
        ids, images, splits = ([values[row] for row in rows] for values in (self.face_ids, self.image_ids, self.splits))
        return Embeddings(ids, images, splits, self.vectors[np.array(rows, dtype=int)])


def write_embeddings(storage: Storage, run: str, embeddings: Embeddings) -> str:
    """Write the table of ``run``, sorted by split and face; returns the SHA-256 of its bytes in hex."""
    order = sorted(range(len(embeddings.face_ids)), key=lambda row: (embeddings.splits[row], embeddings.face_ids[row]))
    ordered = embeddings._taken(order)
    count, dimension = ordered.vectors.shape
    starts = pa.array(np.arange(count + 1, dtype=np.int32) * dimension)
    flat = pa.array(np.ascontiguousarray(ordered.vectors, np.float32).ravel())
    columns: list[Any] = [
        *(pa.array(list(values), pa.string()) for values in (ordered.face_ids, ordered.image_ids, ordered.splits)),
        pa.ListArray.from_arrays(starts, flat),
    ]
    schema = tables.schema(EmbeddedFace)
    columns = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
    return tables.write_table(storage, layout.embeddings_table(run), pa.Table.from_arrays(columns, schema=schema))


def read_embeddings(storage: Storage, run: str) -> Embeddings:
    """What ``write_embeddings`` wrote; ConfigurationError where the run was not evaluated."""
    try:
        table = tables.read_table(storage, layout.embeddings_table(run))
    except FileNotFoundError:
        raise ConfigurationError(
            f"run {run!r}: {storage.root} has no embeddings of it; evaluate it first: "
            f"python -m components.evaluate --root {storage.root} --run {run}"
        ) from None
    lists = table["embedding"].combine_chunks()
    flat = np.array(lists.flatten(), np.float32)
    vectors = flat.reshape(len(table), -1) if len(table) else np.empty((0, 0), np.float32)
    ids, images, splits = (table[name].to_pylist() for name in ("face_id", "image_id", "split"))
    return Embeddings(ids, images, splits, vectors)
