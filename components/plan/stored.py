"""What earlier plans of the root have stored of this plan's images, so that nothing is fetched twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from fec import layout, tables
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.rows import StoredElsewhere
from fec.storage import Storage

_MANIFEST: Final = re.compile(r"images/(\w+)/(\d+)/segment-(\d{5})\.parquet")
# Manifests read at once: on an object store each is a round trip.
_READERS: Final = 8


@dataclass(frozen=True)
class Place:
    """A segment that has a final outcome of an image."""

    split: str
    shard: int
    segment: int


def stored_elsewhere(storage: Storage, split: str, shard_of: Mapping[str, int]) -> dict[str, Place]:
    """Where the images of ``shard_of`` (image id to shard, in ``split``) have a final outcome below the root.

    Of several places a fetched original wins, then the shard the image is planned for, then the later segment.
    """
    manifests = []
    for entry in storage.list("images"):
        if (match := _MANIFEST.fullmatch(entry.path)) and match[1] in layout.SPLITS:
            manifests.append((entry.path, Place(match[1], int(match[2]), int(match[3]))))
    wanted = pa.array(shard_of.keys(), pa.string())
    best: dict[str, tuple[tuple[bool, bool, int, str, int], Place]] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        finals = pool.map(lambda manifest: _finals(storage, manifest[0], wanted), manifests)
        for (_, place), found in zip(manifests, finals, strict=True):
            for image, fetched in found:
                at_home = (place.split, place.shard) == (split, shard_of[image])
                rank = (fetched, at_home, place.segment, place.split, place.shard)
                if image not in best or rank > best[image][0]:
                    best[image] = rank, place
    return {image: place for image, (_, place) in best.items()}


def stored_table(places: Mapping[str, Place]) -> pa.Table:
    """``StoredElsewhere`` rows, sorted by image_id."""
    rows = sorted(places.items())
    columns = [
        pa.array([image for image, _ in rows], pa.string()),
        pa.array([place.split for _, place in rows], pa.string()),
        pa.array([place.shard for _, place in rows], pa.int32()),
        pa.array([place.segment for _, place in rows], pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=tables.schema(StoredElsewhere))


def _finals(storage: Storage, path: str, wanted: pa.Array) -> list[tuple[str, bool]]:
    """The wanted images with a final outcome in one manifest, and whether each was fetched."""
    try:
        table = tables.read_table(storage, path, columns=["image_id", "outcome"])
    except (pa.ArrowException, FileNotFoundError, KeyError) as error:
        message = f"{path} cannot be read, so its images are fetched again if need be: {error}"
        event("unreadable_manifest", message, severity="WARNING", path=path)
        return []
    final = pa.array([str(outcome) for outcome in ImageOutcome if not outcome.transient])
    table = table.filter(
        pc.and_(pc.is_in(table["outcome"], value_set=final), pc.is_in(table["image_id"], value_set=wanted))
    )
    outcomes = table["outcome"].to_pylist()
    return [
        (image, outcome == ImageOutcome.FETCHED)
        for image, outcome in zip(table["image_id"].to_pylist(), outcomes, strict=True)
    ]
