"""What the faces step found, as collect needs it: every planned face's id, and the details of those that are ok."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import layout, tables
from fec.errors import RunFailed
from fec.outcomes import FaceOutcome
from fec.rows import CollectedFace, VerifiedFace
from fec.storage import Storage

# A bucket answers in 50-100 ms.
_READERS: Final = 16
# Of an image, each of its faces has these.
_IMAGE: Final = pa.schema(
    [tables.schema(VerifiedFace).field(n) for n in ("image_id", "image_sha256", "image_likeness")]
)
_CROP: Final = tables.schema(VerifiedFace).field("crop_likeness")
_LATER: Final = (*(field for field in _IMAGE if field.name != "image_id"), _CROP)
_COLUMNS: Final = [name for name in tables.schema(CollectedFace).names if name != "shard"] + ["outcome"]
_DIGESTED: Final = ("face_id", "outcome", "crop_name", "crop_sha256")
# Rows that are Python objects at a time.
_ROWS: Final = 8192


@dataclass(frozen=True)
class VerifiedFaces:
    """The faces of a split. ``ok``: those (CollectedFace) that are ok, sorted by (shard, face_id).

    ``ids``: the ids of the faces that are ok, in the order of ``ok``, and then those of the others.
    ``outcomes``: how many came to each outcome. ``images``: image_id, image_sha256 and image_likeness of the fetched
    images, sorted by image_id; ``crops``: the crop_likeness of those that are ok, in their order.
    """

    ok: pa.Table
    ids: pa.Array
    outcomes: Mapping[str, int]
    images: pa.Table
    crops: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.ids)


def read_verified(storage: Storage, split: str, manifests: Sequence[str]) -> VerifiedFaces:
    """The faces' manifests of all shards, a digest each; RunFailed if one is not the one its marker was written for."""
    with ThreadPoolExecutor(_READERS) as pool:
        shards = range(len(manifests))
        return verified_faces(pool.map(lambda shard: _manifest(storage, split, shard, manifests[shard]), shards))


def verified_faces(manifests: Iterable[pa.Table]) -> VerifiedFaces:
    """The faces of tables of VerifiedFace, one a shard in the order of the shards."""
    ok = [tables.schema(CollectedFace).empty_table()]
    others = [pa.array([], pa.string())]
    images, crops = [_IMAGE.empty_table()], [pa.array([], _CROP.type)]
    outcomes = Counter[str]()
    for shard, manifest in enumerate(manifests):
        table = _with_later_columns(manifest)
        images.append(_fetched_images(table))
        good = pc.equal(table["outcome"], str(FaceOutcome.OK))
        faces = table.drop_columns(["outcome", "image_sha256", "image_likeness"]).filter(good).sort_by("face_id")
        faces = faces.append_column("shard", pa.array(np.full(len(faces), shard, dtype=np.int32)))
        crops += faces[_CROP.name].chunks
        ok.append(faces.select(tables.schema(CollectedFace).names).cast(tables.schema(CollectedFace)))
        others += table["face_id"].filter(pc.invert(good)).chunks
        outcomes.update({count["values"]: count["counts"] for count in table["outcome"].value_counts().to_pylist()})
        tables.release_memory()
    kept = pa.concat_tables(ok)
    ids = pa.concat_arrays(kept["face_id"].chunks + others)
    by_id = pa.concat_tables(images).sort_by("image_id")
    return VerifiedFaces(kept, ids, dict(sorted(outcomes.items())), by_id, pa.chunked_array(crops, _CROP.type))


def advice(path: str, step: str) -> str:
    """What to do about a manifest that cannot be trusted."""
    return (
        f"{path} is missing, spoiled or of another run than its marker: delete the marker beside it and run the "
        f"{step} step again"
    )


def _manifest(storage: Storage, split: str, shard: int, digest: str) -> pa.Table:
    path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
    try:
        with tables.parquet_file(pa.BufferReader(storage.read(path))) as file:
            there = [field.name for field in _LATER if field.name in file.schema_arrow.names]
            table = file.read(_COLUMNS + there, use_threads=False)
            found = tables.verified_digest(_rows(table))
    except (OSError, KeyError, pa.ArrowInvalid):
        raise RunFailed(advice(path, "faces")) from None
    if found != digest:
        raise RunFailed(advice(path, "faces"))
    return table


def _fetched_images(table: pa.Table) -> pa.Table:
    """A row an image whose bytes are known; the faces of an image stand side by side."""
    ids = table["image_id"].combine_chunks()
    first = np.ones(len(ids), bool)
    first[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    known = table["image_sha256"].is_valid().to_numpy()
    return table.select(_IMAGE.names).take(pa.array(np.flatnonzero(first & known)))


def _with_later_columns(table: pa.Table) -> pa.Table:
    """The table with all of _LATER; what an earlier version did not write is null."""
    for field in _LATER:
        if field.name not in table.schema.names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.select(_DIGESTED).to_batches(max_chunksize=_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
