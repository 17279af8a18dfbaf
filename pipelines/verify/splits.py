"""What train and eval have in common: no face and no triplet may be in both."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import layout
from fec.layout import EVAL, TRAIN
from fec.rows import FACE_COLUMNS
from pipelines.verify import stored
from pipelines.verify.collected import Collection
from pipelines.verify.findings import Findings, Shared

_MEND = f"annotations: take out of those of {TRAIN} or {EVAL} what both have"


def check(train: Collection, evaluation: Collection, findings: Findings) -> None:
    """Count what the collected triplets of both splits share, and name shared faces and triplets as faults."""
    faces = _both(train.faces["face_id"], evaluation.faces["face_id"])
    photographs = _both(train.faces["image_id"], evaluation.faces["image_id"])
    triplets = np.intersect1d(_within(train.triplets, faces), _within(evaluation.triplets, faces))
    findings.shared = Shared(len(photographs), len(faces), len(triplets))
    if len(faces):
        findings.fault(
            f"{layout.collect_dir(EVAL)}/{layout.FACES_TABLE}",
            f"{len(faces):,} faces of {EVAL} occur in {TRAIN} too: {stored.some(faces)}",
            _MEND,
        )
    if len(triplets):
        lines = evaluation.triplets["line"].filter(
            pa.array(np.isin(_keys(evaluation.triplets, faces), triplets), pa.bool_())
        )
        findings.fault(
            f"{layout.collect_dir(EVAL)}/triplets.parquet",
            f"{len(triplets):,} triplets of {EVAL} occur in {TRAIN} too: those of lines {stored.some(lines)}",
            _MEND,
        )


def _both(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.Array:
    unique = pc.unique(one)
    return unique.filter(pc.is_in(unique, other))


def _keys(triplets: pa.Table, faces: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A number for each triplet, whatever the order of its faces; -1 where not all of them are among ``faces``."""
    rows = np.stack(
        [pc.fill_null(pc.index_in(triplets[name], faces), -1).to_numpy().astype(np.int64) for name in FACE_COLUMNS],
        axis=1,
    )
    rows.sort(axis=1)
    keys: np.ndarray[tuple[int], np.dtype[np.int64]] = (rows[:, 0] * len(faces) + rows[:, 1]) * len(faces) + rows[:, 2]
    return np.where(rows[:, 0] < 0, -1, keys)


def _within(triplets: pa.Table, faces: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    keys = _keys(triplets, faces)
    return keys[keys >= 0]
