"""What the shards' manifests say of a whole split, as one Arrow table: what became of every image and every face."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import layout, tables
from fec.done import read_done
from fec.outcomes import ImageOutcome
from fec.rows import PlannedImage, SegmentRow, VerifiedFace
from fec.segments import precedence
from fec.segments.reading import SEGMENT_FILE
from fec.storage import Storage

# A bucket answers in 50-100 ms.
_READERS: Final = 16
_TRIED: Final = (
    *("image_id", "outcome", "detail", "attempts", "finished_at", "http_status", "final_url", "sha256"),
    *("archive", "archive_outcome", "archive_detail"),
)
_PLACE: Final = ("offset", "length")


def verified_faces(storage: Storage, split: str, columns: Sequence[str]) -> pa.Table:
    """These columns of VerifiedFace for every face of the shards that are verified, and their ``shard``."""
    plan = read_done(storage, layout.plan_dir(split))
    shards = range(int(plan.details["num_shards"]) if plan is not None else 0)
    with ThreadPoolExecutor(_READERS) as pool:
        found = [table for table in pool.map(lambda shard: _faces(storage, split, shard, columns), shards) if table]
    empty = tables.schema(VerifiedFace)
    fields = [empty.field(name) for name in columns]
    return pa.concat_tables(found or [pa.schema([*fields, pa.field("shard", pa.int32())]).empty_table()])


def planned_images(storage: Storage, split: str, tried: pa.Table) -> pa.Table:
    """Every image of a split's plan with what became of it, sorted by image_id. ``tried``: what ``tried_images`` gives.

    The columns are those of PlannedImage, those of Tried but for its headers and cause, ``sha256``, and where the bytes
    lie: ``in_split``, ``in_shard``, ``segment``, ``offset`` and ``length``, which are null where there are none. An
    image that nothing was written down of is ``not_asked``.
    """
    plan = tables.read_table(
        storage, f"{layout.plan_dir(split)}/images.parquet", columns=tables.schema(PlannedImage).names
    )
    plan = plan.sort_by("image_id")
    at = pc.index_in(plan["image_id"], value_set=tried["image_id"])
    result = plan
    for name in tried.schema.names:
        if name != "image_id":
            result = result.append_column(name, tried[name].take(at))
    unknown = str(ImageOutcome.NOT_ASKED)
    outcomes = pc.fill_null(result["outcome"], unknown)
    return result.set_column(result.schema.get_field_index("outcome"), "outcome", outcomes)


def tried_images(storage: Storage) -> pa.Table:
    """Every image that was tried below the root, once: the row that counts (``fec.segments.precedence``)."""
    found = []
    for split in layout.SPLITS:
        paths = [entry.path for entry in storage.list(f"images/{split}") if entry.path.endswith(".parquet")]
        with ThreadPoolExecutor(_READERS) as pool:
            found += list(pool.map(lambda path, split=split: _segment(storage, split, path), sorted(paths)))
    if not found:
        found = [_segment_schema().empty_table()]
    rows = pa.concat_tables(found)
    ranks = {str(outcome): precedence(outcome) for outcome in ImageOutcome}
    names = pa.array(list(ranks))
    rank = pa.array(list(ranks.values()), pa.int8()).take(
        pc.index_in(rows["outcome"], value_set=names).combine_chunks()
    )
    tried_at = rows["finished_at"].cast(pa.int64()).to_numpy(zero_copy_only=False)
    order = np.lexsort((tried_at, rank.to_numpy(zero_copy_only=False)))
    rows = rows.take(pa.array(order[::-1]))
    _, first = np.unique(rows["image_id"].to_numpy(), return_index=True)
    return rows.take(pa.array(first))


def _faces(storage: Storage, split: str, shard: int, columns: Sequence[str]) -> pa.Table | None:
    """What a shard's manifest says of its faces; None before it is finished, or where it has none."""
    directory = layout.faces_dir(split, shard)
    if read_done(storage, directory) is None:
        return None
    table = _read(storage, f"{directory}/{layout.FACES_TABLE}", VerifiedFace, columns)
    return table.append_column("shard", pa.array(np.full(len(table), shard, np.int32))) or None


def _segment(storage: Storage, split: str, path: str) -> pa.Table:
    match = SEGMENT_FILE.search(path)
    assert match is not None, path
    table = _read(storage, path, SegmentRow, [*_TRIED, *_PLACE])
    place = {"in_shard": int(path.split("/")[-2]), "segment": int(match[1])}
    table = table.append_column("in_split", pa.array([split] * len(table), pa.string()))
    for name, value in place.items():
        table = table.append_column(name, pa.array(np.full(len(table), value, np.int32)))
    return table


def _segment_schema() -> pa.Schema:
    known = tables.schema(SegmentRow)
    place = [pa.field("in_split", pa.string()), pa.field("in_shard", pa.int32()), pa.field("segment", pa.int32())]
    return pa.schema([known.field(name) for name in (*_TRIED, *_PLACE)] + place)


def _read(storage: Storage, path: str, row: Any, columns: Sequence[str]) -> pa.Table:
    """These columns of a table, null where it is too old to have them."""
    with tables.parquet_file(pa.BufferReader(storage.read(path))) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        table = file.read(there, use_threads=False)
    known = tables.schema(row)
    arrays = [table[name] if name in there else pa.nulls(len(table), known.field(name).type) for name in columns]
    return pa.table(arrays, names=list(columns)).cast(
        pa.schema([known.field(name).with_nullable(True) for name in columns])
    )
