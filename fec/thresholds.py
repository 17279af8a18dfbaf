"""What each threshold of the detector's confidence would keep, from the manifests: no network runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.done import read_done
from fec.outcomes import FaceOutcome
from fec.rows import FACE_COLUMNS
from fec.storage import Storage
from fec.whole_split import verified_faces

THRESHOLDS: Final = tuple(round(0.4 + 0.05 * step, 2) for step in range(12))
# The outcomes that a threshold decides between; the others stand whatever it is.
_DECIDED: Final = (str(FaceOutcome.OK), str(FaceOutcome.LOW_CONFIDENCE))
_BAR: Final = 40


@dataclass(frozen=True)
class Kept:
    """Of a split, for each of ``thresholds``: how many faces, and triplets with a consensus, are kept.

    ``faces_planned`` and ``triplets_planned`` are how many there are in all; ``shards`` of ``shards_planned`` are
    verified, and the faces of the others count as lost. ``detectors`` are those that found them.
    """

    detectors: tuple[str, ...]
    shards: int
    shards_planned: int
    faces_planned: int
    triplets_planned: int
    thresholds: tuple[float, ...]
    faces: tuple[int, ...]
    triplets: tuple[int, ...]

    @property
    def rows(self) -> list[tuple[float, int, int]]:
        """Each threshold with the faces and the triplets it keeps."""
        return list(zip(self.thresholds, self.faces, self.triplets, strict=True))


def kept_by_threshold(storage: Storage, split: str, thresholds: Sequence[float] = THRESHOLDS) -> Kept | None:
    """What each threshold keeps of a split; None if none of it is verified."""
    plan = read_done(storage, layout.plan_dir(split))
    if plan is None:
        return None
    faces = verified_faces(storage, split, ["face_id", "outcome", "confidence", "detector"])
    if not len(faces):
        return None
    decided = faces.filter(pc.is_in(faces["outcome"], value_set=pa.array(_DECIDED)))
    confidences = decided["confidence"].to_numpy()
    triplets = _triplets(storage, split, decided["face_id"].combine_chunks(), confidences)
    return Kept(
        tuple(sorted(pc.unique(faces["detector"]).to_pylist())),
        len(pc.unique(faces["shard"])),
        int(plan.details["num_shards"]),
        len(faces),
        len(triplets),
        tuple(thresholds),
        _at_least(confidences, thresholds),
        _at_least(triplets, thresholds),
    )


def as_text(split: str, kept: Kept) -> str:
    """A table, with a bar for the share of the triplets."""
    lines = [
        f"{split}: {kept.faces_planned:,} faces, {kept.triplets_planned:,} triplets with a consensus, "
        f"{kept.shards:,} of {kept.shards_planned:,} shards verified by {', '.join(kept.detectors)}",
        f"{'threshold':>9} {'faces':>12} {'triplets':>12}",
    ]
    for threshold, faces, triplets in zip(kept.thresholds, kept.faces, kept.triplets, strict=True):
        share = triplets / kept.triplets_planned if kept.triplets_planned else 0.0
        lines.append(f"{threshold:9.2f} {faces:12,} {triplets:12,} {share:7.1%} {'#' * round(_BAR * share)}".rstrip())
    return "\n".join(lines)


def _triplets(storage: Storage, split: str, ids: pa.Array, confidences: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every triplet with a consensus the lowest confidence of its faces; -1 where one is lost anyway."""
    lowest = [np.empty(0, np.float32)]
    path = f"{layout.plan_dir(split)}/triplets.parquet"
    for batch in tables.read_batches(storage, path, [*FACE_COLUMNS, "odd_one_out"]):
        agreed = batch.filter(pc.is_valid(batch["odd_one_out"]))
        of_faces = []
        for column in FACE_COLUMNS:
            at = pc.fill_null(pc.index_in(agreed[column], value_set=ids), -1).to_numpy()
            of_faces.append(np.where(at < 0, np.float32(-1), np.append(confidences, np.float32(-1))[at]))
        lowest.append(np.min(of_faces, axis=0))
    return np.concatenate(lowest)


def _at_least(values: NDArray[np.float32], thresholds: Sequence[float]) -> tuple[int, ...]:
    # As the step compares: the table keeps 32 bits of a confidence.
    return tuple(int((values >= np.float32(threshold)).sum()) for threshold in thresholds)
