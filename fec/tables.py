"""The manifests: the schema of every Parquet table, and how one is read and written.

Tables are written with fixed options, so the same rows give the same bytes, and with a checksum on every page, so a
spoiled one is not taken for what was written.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from fec.storage import Storage

# Rows written, or read, at a time.
ROW_GROUP: Final = 65_536
_DIGESTED: Final = 4096

# plan/<split>/images.parquet: one row a unique URL, sorted by (shard, image_id).
IMAGES: Final = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field(
            "host_key", pa.string(), nullable=False
        ),  # what one rate limit covers: a registrable domain or address
        pa.field("shard", pa.int32(), nullable=False),
    ]
)

# plan/<split>/faces.parquet: one row a unique (image, box), sorted by (shard, image_id, face_id).
FACES: Final = pa.schema(
    [
        pa.field("face_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("left", pa.float64(), nullable=False),  # the published box, fractions
        pa.field("right", pa.float64(), nullable=False),
        pa.field("top", pa.float64(), nullable=False),
        pa.field("bottom", pa.float64(), nullable=False),
        pa.field("crop_name", pa.string(), nullable=False),
    ]
)

# plan/<split>/stored.parquet: images of the plan that already have a final outcome below the root, from an earlier
# plan or from the other split, and the segment that has it; sorted by image_id. Absent where there is none.
STORED: Final = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("segment", pa.int32(), nullable=False),
    ]
)

_TRIPLET_FIELDS: Final = [
    pa.field("line", pa.int32(), nullable=False),  # 1-based line of the CSV: names the triplet within its split
    pa.field("face_a", pa.string(), nullable=False),
    pa.field("face_b", pa.string(), nullable=False),
    pa.field("face_c", pa.string(), nullable=False),
    pa.field("type", pa.int8(), nullable=False),  # 1, 2, 3: ONE_, TWO_, THREE_CLASS_TRIPLET
    pa.field("votes", pa.list_(pa.int8()), nullable=False),  # in the CSV's order, each 1..3: the face least alike
]

# plan/<split>/triplets.parquet: one row a triplet, in the CSV's order.
TRIPLETS: Final = pa.schema(
    [
        *_TRIPLET_FIELDS,
        pa.field("annotators", pa.list_(pa.string()), nullable=False),
        pa.field("odd_one_out", pa.int8()),  # the consensus, 1..3; null: no consensus
    ]
)

# images/<split>/<shard>/segment-NNNNN.parquet: one row an image tried, in the order of the segment.
# Of several rows for one image (a transient failure tried again), the one in the highest segment counts.
SEGMENT: Final = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # fec.outcomes.ImageOutcome
        pa.field("detail", pa.string(), nullable=False),
        pa.field("attempts", pa.int16(), nullable=False),
        pa.field("finished_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("http_status", pa.int16()),  # of the last answer
        pa.field("final_url", pa.string()),  # after redirects
        pa.field("headers", pa.map_(pa.string(), pa.string())),  # lower-case names, those worth keeping
        pa.field("offset", pa.int64()),  # of the bytes within segment-NNNNN.tar; null unless fetched
        pa.field("length", pa.int64()),
        pa.field("sha256", pa.string()),
    ]
)

# <split>/<shard>/faces.parquet: one row a face of the shard, sorted by (image_id, face_id).
VERIFIED: Final = pa.schema(
    [
        pa.field("face_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # fec.outcomes.FaceOutcome
        pa.field("detail", pa.string(), nullable=False),
        pa.field("confidence", pa.float32()),  # 0..1 on the detector's own scale; null: nothing found
        pa.field("detector", pa.string(), nullable=False),
        pa.field("left", pa.float64(), nullable=False),  # the published box, fractions
        pa.field("right", pa.float64(), nullable=False),
        pa.field("top", pa.float64(), nullable=False),
        pa.field("bottom", pa.float64(), nullable=False),
        pa.field("image_width", pa.int32()),  # pixels, as the boxes mean it (see orientation)
        pa.field("image_height", pa.int32()),
        pa.field("orientation", pa.int8()),  # the EXIF orientation applied before cropping; 1: none
        pa.field("crop_left", pa.int32()),  # the crop in pixels of that image, right and bottom exclusive
        pa.field("crop_right", pa.int32()),
        pa.field("crop_top", pa.int32()),
        pa.field("crop_bottom", pa.int32()),
        pa.field("found_left", pa.float32()),  # the face the detector found, fractions of the crop
        pa.field("found_right", pa.float32()),
        pa.field("found_top", pa.float32()),
        pa.field("found_bottom", pa.float32()),
        pa.field("crop_name", pa.string()),  # null unless ok: the file beside this table
        pa.field("crop_sha256", pa.string()),
        pa.field("thumbnail", pa.binary()),  # small JPEG of a crop that was rejected, so that why can be seen
    ]
)

# collect/<split>/triplets.parquet: the surviving triplets with a consensus, in the order of the records.
COLLECTED: Final = pa.schema(
    [
        *_TRIPLET_FIELDS,
        pa.field("odd_one_out", pa.int8(), nullable=False),
        pa.field("record_shard", pa.int32(), nullable=False),
    ]
)

# collect/<split>/faces.parquet: the faces those triplets use, sorted by (shard, face_id).
COLLECTED_FACES: Final = pa.schema(
    [
        pa.field("face_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),  # the crop lies in <split>/<shard>/<crop_name>
        pa.field("crop_name", pa.string(), nullable=False),
        pa.field("crop_sha256", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("detector", pa.string(), nullable=False),
    ]
)


def from_rows(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of ``schema`` from rows keyed by column name; an absent key is null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def verified_digest(faces: Iterable[tuple[str, str, str | None, str | None]]) -> str:
    """64 hex digits of what later steps read of a faces manifest: a change of these rows changes them.

    ``faces`` are (face_id, outcome, crop_name, crop_sha256) in the order of the table; the latter two are None
    unless the outcome is ok.
    """
    # What identity.fingerprint gives of {"faces": [[...], ...]}, without all of the text at once.
    rows = iter(faces)
    digest = hashlib.sha256(b'{"faces":[')
    separator = b""
    while some := [list(face) for face in islice(rows, _DIGESTED)]:
        digest.update(separator + json.dumps(some, separators=(",", ":")).encode()[1:-1])
        separator = b","
    digest.update(b"]}")
    return digest.hexdigest()


def to_bytes(table: pa.Table, *, row_group_size: int = ROW_GROUP) -> bytes:
    """``table`` as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=row_group_size, write_page_checksum=True)
    return buffer.getvalue()


def write_table(storage: Storage, path: str, table: pa.Table, *, row_group_size: int = ROW_GROUP) -> str:
    """Write ``table`` as Parquet in one go; the same table gives the same bytes. Returns their SHA-256 in hex."""
    data = to_bytes(table, row_group_size=row_group_size)
    storage.write(path, data)
    return hashlib.sha256(data).hexdigest()


def write_row_groups(storage: Storage, path: str, schema: pa.Schema, groups: Iterable[pa.Table]) -> str:
    """Write ``groups``, of ROW_GROUP rows each but the last, as the row groups of one table, holding one at a time.

    The bytes are those ``write_table`` gives for the whole. Returns their SHA-256 in hex.
    """
    workspace = f"{path}.rows"
    target = storage.workspace(workspace) / uuid4().hex
    with pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=ROW_GROUP)
            release_memory()
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    storage.write_file(path, target)
    storage.remove_workspace(workspace)
    return digest


def read_batches(storage: Storage, path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """These columns of a table, ROW_GROUP rows or fewer at a time; never more than that is held.

    Raises FileNotFoundError if there is no such table, other OSErrors and ArrowInvalid if it cannot be read.
    """
    with storage.local_copy(path) as copy, parquet_file(copy) as file:
        if missing := set(columns) - set(file.schema_arrow.names):
            raise pa.ArrowInvalid(f"{path} has no columns {sorted(missing)}")
        for batch in file.iter_batches(ROW_GROUP, columns=list(columns), use_threads=False):
            yield batch
            release_memory()


def parquet_file(source: Any) -> pq.ParquetFile:
    """A table to be read bit by bit, whose pages are held against their checksums."""
    return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True)


def release_memory() -> None:
    """Give back what Arrow's allocator holds of tables that are gone: after large ones that is most of a process."""
    pa.default_memory_pool().release_unused()


def read_table(
    storage: Storage,
    path: str,
    *,
    columns: Sequence[str] | None = None,
    filters: list[tuple[str, str, Any]] | None = None,
) -> pa.Table:
    """Read a table, only ``columns`` of it and only the rows that pass ``filters`` (pyarrow's form).

    Raises FileNotFoundError, or pyarrow's errors and OSError where the file is spoiled.
    """
    # In memory of Arrow's own: one of its threads that lets go of a Python object while the interpreter ends
    # aborts the process, after all work is done.
    copy = pa.BufferOutputStream()
    copy.write(storage.read(path))
    source = pa.BufferReader(copy.getvalue())
    wanted = None if columns is None else list(columns)
    return pq.read_table(source, columns=wanted, filters=filters, page_checksum_verification=True)
