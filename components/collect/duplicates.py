"""The same photograph under several URLs: within a split, and of train in eval.

By its bytes, by how the picture looks and by how the crop looks (``components.collect.likeness``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.collect.likeness import Looks, looks, nearest, repeated
from components.collect.verified import VerifiedFaces
from fec import tables
from fec.funnel import Repeated
from fec.rows import LeakingFace
from fec.tables import ROW_GROUP

BYTES: Final = "bytes"
IMAGE: Final = "image"
CROP: Final = "crop"


@dataclass(frozen=True)
class Leaking:
    """What of train eval has as well.

    ``counts``: images and faces. ``faces``: bool, which of train's ok faces, in their order; ``table``: LeakingFace.
    """

    counts: Repeated
    faces: NDArray[np.bool_]
    table: pa.Table


def repeated_in(split: VerifiedFaces, within: int) -> Repeated:
    """What a split has more than once; pictures are alike if they differ in at most ``within`` of 256 bits."""
    images = split.images
    sha256 = pc.dictionary_encode(images["image_sha256"]).combine_chunks().indices.to_numpy()
    same = np.bincount(sha256)[sha256] > 1 if len(sha256) else np.zeros(0, bool)
    alike = _repeated(images["image_likeness"], np.arange(len(images)), within)
    of_face = _rows_of(split.ok["image_id"], images["image_id"])
    twice = np.append(same | alike, False)[of_face]
    twice |= _repeated(split.crops, of_face, within)
    return Repeated(int(same.sum()), int((alike & ~same).sum()), int(twice.sum()))


def leaking(train: VerifiedFaces, evaluation: VerifiedFaces, within: int) -> Leaking:
    """Train's images and faces that eval has as well; each face is told by the first of the kinds that holds."""
    images, others = train.images, evaluation.images
    same = pc.fill_null(pc.index_in(images["image_sha256"], others["image_sha256"].combine_chunks()), -1).to_numpy()
    alike, bits = _nearest(images["image_likeness"], others["image_likeness"], within)
    # Of several that are equally near the first, whatever shards they are in.
    order = pc.sort_indices(evaluation.ok["face_id"])
    crop, crop_bits = _nearest(train.crops, evaluation.crops.take(order), within)
    # The eval image of each face by kind, -1 for none; of an image that is not there, and of none, the last.
    of_face = _rows_of(train.ok["image_id"], images["image_id"])
    of_other = np.append(_rows_of(evaluation.ok["image_id"].take(order), others["image_id"]), -1)
    by_kind = np.stack([np.append(same, -1)[of_face], np.append(alike, -1)[of_face], of_other[crop]])
    differ = np.stack([np.zeros(len(of_face), np.int64), np.append(bits, -1)[of_face], crop_bits])
    faces = np.any(by_kind >= 0, axis=0)
    rows = np.flatnonzero(faces)
    first = np.argmax(by_kind[:, rows] >= 0, axis=0)
    columns = [
        train.ok["face_id"].take(rows),
        train.ok["image_id"].take(rows),
        pa.array(np.array([BYTES, IMAGE, CROP])[first], pa.string()),
        pa.array(differ[first, rows].astype(np.int16)),
        others["image_id"].take(by_kind[first, rows]),
    ]
    table = pa.table([_one(column) for column in columns], schema=tables.schema(LeakingFace)).sort_by("face_id")
    counts = Repeated(int((same >= 0).sum()), int(((alike >= 0) & (same < 0)).sum()), len(rows))
    return Leaking(counts, faces, table)


def _rows_of(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> NDArray[np.int64]:
    """The row of each of ``ids`` among ``known``, -1 for those that are not there."""
    found: NDArray[np.int32] = pc.fill_null(pc.index_in(ids, _one(known)), -1).to_numpy()
    return found.astype(np.int64)


def _repeated(stored: pa.ChunkedArray, owners: NDArray[np.int64], within: int) -> NDArray[np.bool_]:
    """Which of the pictures look nearly the same as another one's; those without a look do not."""
    known = np.flatnonzero(stored.is_valid().to_numpy())
    found = np.zeros(len(stored), bool)
    found[known] = repeated(_looks(stored, known), owners[known], within)
    return found


def _nearest(
    some: pa.ChunkedArray, others: pa.ChunkedArray, within: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest of ``others`` to each of ``some``, and in how many bits they differ; -1 where there is none."""
    ours, theirs = (np.flatnonzero(stored.is_valid().to_numpy()) for stored in (some, others))
    place, bits = np.full(len(some), -1), np.full(len(some), -1)
    found, bits[ours] = nearest(_looks(some, ours), _looks(others, theirs), within)
    place[ours] = np.append(theirs, -1)[found]
    return place, bits


def _looks(stored: pa.ChunkedArray, rows: NDArray[np.int64]) -> Looks:
    """Those of some rows, none of which is null; copied a part at a time, so that they are never Python objects all."""
    found = np.empty((len(rows), 4), np.uint64)
    for start in range(0, len(rows), ROW_GROUP // 8):
        part = stored.take(rows[start : start + ROW_GROUP // 8]).to_pylist()
        found[start : start + len(part)] = looks(part)
    return found


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
