"""What the manifests of a shard say of its images: one manifest at a time, and no other is held meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.outcomes import ImageOutcome
from fec.rows import SegmentRow
from fec.segments.reading import explained, numbers, precedence
from fec.storage import Storage

# Ids that are Python objects at a time.
_ROWS: Final = 1024

Ids = NDArray[np.bytes_]


@dataclass(frozen=True)
class Told:
    """What the manifest of one segment says of images, where no manifest before it counts more.

    ``rows`` are a row an image, of ``SegmentRow``'s columns that were asked for; ``places`` are those of the images
    among the ids. Of what is told of an image more than once, the last counts. ``manifest`` is the file's name,
    ``sha256`` its digest in hex.
    """

    segment: int
    manifest: str
    sha256: str
    places: NDArray[np.int64]
    rows: pa.Table


def sorted_ids(column: pa.ChunkedArray) -> Ids:
    """The ids of a table sorted by them, to look places up in; ValueError if they are not sorted."""
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    ids = _fixed(column, longest + 1)
    if np.any(ids[1:] < ids[:-1]):
        raise ValueError("the ids are not sorted")
    return ids


def places_among(ids: Ids, column: pa.ChunkedArray) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of ``column`` are among ``ids``, as ``sorted_ids`` gives them, and the place of each of those."""
    asked = _fixed(column, ids.dtype.itemsize)
    places = np.searchsorted(ids, asked)
    found = places < len(ids)
    found[found] = ids[places[found]] == asked[found]
    return found, places[found]


def told(
    storage: Storage, split: str, shard: int, columns: Sequence[str], ids: Ids, named: Collection[str] | None = None
) -> Iterator[Told]:
    """What each of the shard's manifests says of the images ``ids``, in order; only those ``named``, if any are.

    Raises RunFailed for a manifest that cannot be read.
    """
    counting = np.zeros(len(ids), np.int8)
    schema = tables.schema(SegmentRow)
    wanted = pa.schema([schema.field(name) for name in dict.fromkeys(["image_id", "outcome", *columns])])
    for number in sorted(numbers(storage, split, shard, "parquet")):
        path = f"{layout.segment(split, shard, number)}.parquet"
        manifest = path.rpartition("/")[2]
        if named is not None and manifest not in named:
            continue
        with explained(path):
            data = storage.read(path)
            table = tables.columns_in(data, wanted)
            found, places = places_among(ids, table["image_id"])
            ranks = _ranks(table["outcome"])[found]
        at = np.flatnonzero(found)
        # The last row of each image that is of its highest rank.
        order = np.lexsort((at, ranks, places))
        order = order[np.append(places[order][1:] != places[order][:-1], True)] if len(order) else order
        order = order[ranks[order] >= counting[places[order]]]
        counting[places[order]] = ranks[order]
        rows = table.select(list(columns)).take(pa.array(at[order]))
        yield Told(number, manifest, hashlib.sha256(data).hexdigest(), places[order], rows)
        tables.release_memory()


def _ranks(outcomes: pa.ChunkedArray) -> NDArray[np.int8]:
    encoded = outcomes.combine_chunks().dictionary_encode()
    ranks = np.array([precedence(ImageOutcome(outcome)) for outcome in encoded.dictionary.to_pylist()], np.int8)
    found: NDArray[np.int8] = ranks[encoded.indices.to_numpy()]
    return found


def _fixed(column: pa.ChunkedArray, width: int) -> Ids:
    """Texts as bytes of one ``width``; what is longer is cut."""
    fixed = np.empty(len(column), f"S{width}")
    at = 0
    for chunk in column.chunks:
        for start in range(0, len(chunk), _ROWS):
            some = chunk.slice(start, _ROWS).cast(pa.binary()).to_pylist()
            fixed[at : at + len(some)] = some
            at += len(some)
    return fixed
