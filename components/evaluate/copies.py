"""The same photograph or crop more than once: within a split it counts twice, across the splits it is a leak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from components.evaluate.losses import Lists
from fec import layout, tables
from fec.layout import EVAL, SPLITS, TRAIN
from fec.storage import Storage


@dataclass(frozen=True)
class Copies:
    """Of ``what``: how many are surplus copies of another in train and in eval, and how many of eval's are in train."""

    what: str
    train: int
    eval: int
    across: int


def copies(storage: Storage, lists: Mapping[str, Lists]) -> list[Copies]:
    """Photographs with the same URL (once a split by then), with the same bytes, and crops with the same bytes."""
    collected = {
        split: tables.read_table(
            storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}", columns=["face_id", "crop_sha256"]
        )
        for split in SPLITS
    }
    return [
        _copies("URL", {split: one.images["image_id"] for split, one in lists.items()}),
        _copies("bytes of the photograph", {split: one.images["sha256"] for split, one in lists.items()}),
        _copies("face: URL and box", {split: table["face_id"] for split, table in collected.items()}),
        _copies("bytes of the crop", {split: table["crop_sha256"] for split, table in collected.items()}),
    ]


def _copies(what: str, values: Mapping[str, pa.ChunkedArray]) -> Copies:
    known = {split: column.drop_null() for split, column in values.items()}
    unique = {split: pc.unique(column) for split, column in known.items()}
    surplus = {split: len(known[split]) - len(unique[split]) for split in SPLITS}
    across = int(pc.sum(pc.is_in(unique[EVAL], value_set=unique[TRAIN])).as_py() or 0)
    return Copies(what, surplus[TRAIN], surplus[EVAL], across)
