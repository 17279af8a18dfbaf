"""What survived of a dataset, as an export writes it: a split's faces with their crops, and its triplets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from fec.dataset import Dataset
from fec.errors import ConfigurationError
from fec.progress import track
from fec.rows import FACE_COLUMNS
from fec.subsets import DIGESTS

# A bucket answers in 50-100 ms.
_READERS: Final = 16
# Of ``Dataset.faces``, what an export tells of a face beside its picture.
FACE_DETAILS: Final = ("face_id", "image_id", "confidence", "detector", "blur", "roll", "yaw", "pitch")
TRIPLET_DETAILS: Final = ("line", *FACE_COLUMNS, "type", "votes", "odd_one_out")


@dataclass(frozen=True)
class Survivors:
    """A split's surviving ``triplets`` (TRIPLET_DETAILS), sorted by line, and the ``faces`` they use (FACE_DETAILS and
    ``url``), sorted by id."""

    split: str
    triplets: pa.Table
    faces: pa.Table


def survivors(dataset: Dataset) -> list[Survivors]:
    """What survived of each split; ConfigurationError where nothing was collected yet."""
    found = []
    urls = dict(zip(*(dataset.images[name].to_pylist() for name in ("image_id", "url")), strict=True))
    for split in dataset.splits:
        triplets = _of_split(dataset.triplets.arrow, split)
        triplets = triplets.filter(pc.fill_null(triplets["survived"], False))
        if not len(triplets):
            continue
        used = pc.unique(pa.concat_arrays([triplets[name].combine_chunks() for name in FACE_COLUMNS]))
        faces = _of_split(dataset.faces.arrow, split)
        faces = faces.filter(pc.is_in(faces["face_id"], used)).sort_by("face_id").select([*FACE_DETAILS])
        faces = faces.append_column("url", pa.array([urls[image] for image in faces["image_id"].to_pylist()]))
        found.append(Survivors(split, triplets.sort_by("line").select([*TRIPLET_DETAILS]), faces))
    if not found:
        raise ConfigurationError(f"{dataset.root} has no collected triplets yet: run the pipeline up to collect first")
    return found


def with_crops(dataset: Dataset, part: Survivors) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each face of ``part`` and its crop (JPEG), in order, read side by side."""
    with ThreadPoolExecutor(_READERS) as threads, track(f"export {part.split}", len(part.faces), "faces") as progress:
        under_way: deque[tuple[dict[str, Any], Future[bytes]]] = deque()
        for batch in part.faces.to_batches(max_chunksize=1024):
            for face in batch.to_pylist():
                under_way.append((face, threads.submit(dataset.crop_bytes, face["face_id"])))
                if len(under_way) >= 2 * _READERS:
                    yield _next(under_way)
                    progress.advance()
        while under_way:
            yield _next(under_way)
            progress.advance()


def listed(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Every surviving triplet as a row of ``fec.subsets.COLUMNS``; ConfigurationError where none is collected yet."""
    digest_of = dict(zip(*(dataset.images[name].to_pylist() for name in ("image_id", "sha256")), strict=True))
    for part in survivors(dataset):
        image_of = dict(zip(*(part.faces[name].to_pylist() for name in ("face_id", "image_id")), strict=True))
        for row in part.triplets.select(["line", *FACE_COLUMNS]).to_pylist():
            digests = (digest_of[image_of[row[name]]] for name in FACE_COLUMNS)
            yield {"split": part.split, **row, **dict(zip(DIGESTS, digests, strict=True))}


def _next(under_way: deque[tuple[dict[str, Any], Future[bytes]]]) -> tuple[dict[str, Any], bytes]:
    face, crop = under_way.popleft()
    return face, crop.result()


def _of_split(table: pa.Table, split: str) -> pa.Table:
    return table.filter(pc.equal(table["split"], split))
