"""What an earlier plan of the same root, or its other split, has stored: taken over, not asked for again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.download.formats import image_extension
from components.download.known import known
from components.download.ours import to_be_asked
from components.download.parameters import Parameters
from components.download.shards import Shard, writer_of
from fec import layout, segments, tables
from fec.done import read_done
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.row_types import names
from fec.rows import SegmentRow
from fec.segments import Ids, StoredImage
from fec.storage import Storage

_COLUMNS: Final = ["image_id", "split", "shard"]

# A split, and a shard of it.
Elsewhere = tuple[str, int]


@dataclass(frozen=True)
class _Wanted:
    """What all shards want, sorted by id: the ids, and of each the place of its shard and its row there."""

    ids: Ids
    shards: NDArray[np.int32]
    rows: NDArray[np.int32]


def adopt_from_earlier_plans(storage: Storage, parameters: Parameters, shards: Sequence[Shard]) -> None:
    """Take over what is stored elsewhere below the root, instead of asking its host again."""
    path = f"{layout.plan_dir(parameters.split)}/stored.parquet"
    if storage.size(path) is None:
        return
    wanted = _all_wanted(shards)
    adopted = np.zeros(len(wanted.ids), bool)
    numbers = np.array([shard.number for shard in shards])
    for (split, number), found in sorted(_stored(storage, path, wanted.ids).items()):
        places = np.sort(np.asarray(found))
        if split == parameters.split:
            places = places[numbers[wanted.shards[places]] != number]
        for place in _adopt(storage, parameters, (split, number), wanted, places, shards) if len(places) else ():
            adopted[place] = True
    for at, shard in enumerate(shards):
        taken = wanted.rows[adopted & (wanted.shards == at)]
        shard.wanted = np.setdiff1d(shard.wanted, taken, assume_unique=True)


def _all_wanted(shards: Sequence[Shard]) -> _Wanted:
    ids = [shard.ids[shard.wanted] for shard in shards]
    places = [np.full(len(shard.wanted), at, np.int32) for at, shard in enumerate(shards)]
    together = np.concatenate(ids)
    order = np.argsort(together)
    rows = np.concatenate([shard.wanted for shard in shards])
    return _Wanted(together[order], np.concatenate(places)[order], rows[order])


def _stored(storage: Storage, path: str, ids: Ids) -> Mapping[Elsewhere, Sequence[int]]:
    """Which of ``ids``, by their places, the shards have that the plan found something in."""
    stored: dict[Elsewhere, array[int]] = {}
    for batch in tables.read_batches(storage, path, _COLUMNS):
        found, places = segments.places_among(ids, pa.chunked_array([batch["image_id"]]))
        there = pa.Table.from_batches([batch.select(["split", "shard"])]).filter(pa.array(found))
        for elsewhere in there.group_by(["split", "shard"]).aggregate([]).to_pylist():
            split, shard = elsewhere["split"], elsewhere["shard"]
            mine = pc.and_(pc.equal(there["split"], split), pc.equal(there["shard"], shard)).to_numpy()
            stored.setdefault((split, shard), array("q")).extend(places[mine].tolist())
    return stored


def _adopt(
    storage: Storage,
    parameters: Parameters,
    elsewhere: Elsewhere,
    wanted: _Wanted,
    places: NDArray[np.int64],
    shards: Sequence[Shard],
) -> Iterator[int]:
    """Take over what one other shard has of the images at ``places``; which those were."""
    for at, image in _images(storage, elsewhere, wanted.ids[places]):
        if to_be_asked(image.outcome, image.cause, parameters):
            continue
        data = _original(storage, elsewhere, image)
        if data is None and image.outcome is ImageOutcome.FETCHED:
            continue
        place = int(places[at])
        writer = writer_of(storage, parameters.split, shards[wanted.shards[place]])
        writer.add(image.tried, data, image_extension(data or b"") or "bin")
        yield place


def _images(storage: Storage, elsewhere: Elsewhere, ids: Ids) -> Iterator[tuple[int, StoredImage]]:
    """What counts of the images ``ids`` in a shard, each with its place among them, in the order of the bytes.

    As ``segments.stored_images`` has it, those manifests count that the shard's marker names.
    """
    done = read_done(storage, layout.images_dir(*elsewhere))
    named = None if done is None else done.details.get("manifests")
    try:
        stored = known(storage, *elsewhere, ids, named=named)
        for told in segments.told(storage, *elsewhere, names(SegmentRow), ids, stored.manifests):
            offsets = told.rows["offset"].fill_null(0).to_numpy()
            order = np.lexsort((told.places, offsets))
            order = order[stored.segment[told.places[order]] == told.segment]
            rows = tables.to_rows(told.rows.take(pa.array(order)), SegmentRow)
            for at, row in zip(told.places[order].tolist(), rows, strict=True):
                yield at, StoredImage(**vars(row), segment=told.segment)
    except RunFailed as spoiled:
        event("spoiled", f"{spoiled}; fetching them again", severity="WARNING")


def _original(storage: Storage, elsewhere: Elsewhere, image: StoredImage) -> bytes | None:
    if image.outcome is not ImageOutcome.FETCHED:
        return None
    try:
        return segments.read_original(storage, *elsewhere, image)
    except RunFailed as spoiled:
        event("spoiled", f"{spoiled}; fetching it again", severity="WARNING")
        return None
