"""What earlier plans of the root have stored of this plan's images, so that nothing is fetched twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, segments, tables
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.rows import StoredElsewhere
from fec.storage import Storage

_MANIFEST: Final = re.compile(r"images/(\w+)/(\d+)/segment-(\d{5})\.parquet")
# Manifests read at once: on an object store each is a round trip.
_READERS: Final = 8


@dataclass(frozen=True, order=True)
class Place:
    """A segment; of several that have an image the last counts, other things being equal."""

    segment: int
    split: str
    shard: int


def stored_elsewhere(storage: Storage, split: str, image_ids: pa.Array, shards: NDArray[np.int32]) -> pa.Table:
    """``StoredElsewhere`` rows, sorted by image_id: where these images have a final outcome below the root.

    ``shards`` are those in ``split`` for which the images are planned. Of several places a fetched original wins, then
    the shard the image is planned for, then the later segment.
    """
    found = sorted(_manifests(storage), key=lambda manifest: manifest[1])
    order = pc.sort_indices(image_ids)
    named = image_ids.take(order)
    ids, homes = segments.sorted_ids(pa.chunked_array([named])), shards[order.to_numpy()]
    # Of each image the best place, as a number that is the higher the better.
    best = np.full(len(ids), -1, np.int64)
    with ThreadPoolExecutor(_READERS) as pool:
        finals = pool.map(lambda manifest: _finals(storage, manifest[0], ids), found)
        for at, ((_, place), (places, fetched)) in enumerate(zip(found, finals, strict=True)):
            at_home = (homes[places] == place.shard) & (place.split == split)
            np.maximum.at(best, places, (2 * fetched + at_home) * len(found) + at)
    there = np.flatnonzero(best >= 0)
    chosen = [found[at][1] for at in (best[there] % max(1, len(found))).tolist()]
    columns = [
        named.take(pa.array(there)),
        pa.array([place.split for place in chosen], pa.string()),
        pa.array([place.shard for place in chosen], pa.int32()),
        pa.array([place.segment for place in chosen], pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=tables.schema(StoredElsewhere))


def _manifests(storage: Storage) -> Iterator[tuple[str, Place]]:
    """The path of every manifest below the root, and what it is of."""
    for entry in storage.list("images"):
        if (match := _MANIFEST.fullmatch(entry.path)) and match[1] in layout.SPLITS:
            yield entry.path, Place(int(match[3]), match[1], int(match[2]))


def _finals(storage: Storage, path: str, ids: segments.Ids) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The places among ``ids`` of what has a final outcome in one manifest, and whether each was fetched."""
    try:
        table = tables.read_table(storage, path, columns=["image_id", "outcome"])
    except (pa.ArrowException, FileNotFoundError, KeyError) as error:
        message = f"{path} cannot be read, so its images are fetched again if need be: {error}"
        event("unreadable_manifest", message, severity="WARNING", path=path)
        return np.empty(0, np.int64), np.empty(0, bool)
    final = pa.array([str(outcome) for outcome in ImageOutcome if not outcome.transient])
    table = table.filter(pc.is_in(table["outcome"], value_set=final))
    wanted, places = segments.places_among(ids, table["image_id"])
    return places, pc.equal(table["outcome"], str(ImageOutcome.FETCHED)).to_numpy()[wanted]
