"""What an earlier plan of the same root, or its other split, has stored: taken over, not asked for again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.download.formats import image_extension
from components.download.ours import to_be_asked
from components.download.parameters import Parameters
from components.download.shards import Shard, writer_of
from fec import layout, segments, tables
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.segments import StoredImage
from fec.storage import Storage

_COLUMNS = ["image_id", "split", "shard"]


def adopt_from_earlier_plans(storage: Storage, parameters: Parameters, shards: Sequence[Shard]) -> None:
    """Take over what is stored elsewhere below the root, instead of asking its host again."""
    path = f"{layout.plan_dir(parameters.split)}/stored.parquet"
    if storage.size(path) is None:
        return
    stored = tables.read_table(storage, path, columns=_COLUMNS)
    home: dict[str, Shard] = {}
    for shard in shards:
        mine = pc.is_in(stored["image_id"], shard.wanted_ids)
        here = pc.and_(pc.equal(stored["split"], parameters.split), pc.equal(stored["shard"], shard.number))
        found = stored["image_id"].filter(pc.and_(mine, pc.invert(here))).to_pylist()
        home.update(dict.fromkeys(found, shard))
    adopted: set[str] = set()
    for split, number in sorted(set(zip(stored["split"].to_pylist(), stored["shard"].to_pylist(), strict=True))):
        there = pc.and_(pc.equal(stored["split"], split), pc.equal(stored["shard"], number))
        ids = home.keys() & set(stored["image_id"].filter(there).to_pylist())
        if ids:
            adopted |= _adopt(storage, parameters, split, number, {i: home[i] for i in ids})
    taken = pa.array(sorted(adopted), pa.string())
    for shard in shards:
        left = ~pc.is_in(shard.wanted_ids, taken).to_numpy() if adopted else np.ones(len(shard.wanted), bool)
        shard.wanted = shard.wanted[left]


def _adopt(storage: Storage, parameters: Parameters, split: str, number: int, home: dict[str, Shard]) -> set[str]:
    """Take over what one other shard has of ``home``'s images; which those were."""
    try:
        stored = segments.stored_images(storage, split, number)
    except RunFailed as spoiled:
        event("spoiled", f"{spoiled}; fetching them again", severity="WARNING")
        return set()
    adopted = set()
    for image_id in sorted(home.keys() & stored.keys(), key=lambda i: (stored[i].segment, stored[i].offset or 0)):
        image, shard = stored[image_id], home[image_id]
        if to_be_asked(image.outcome, image.cause, parameters):
            continue
        data = _original(storage, split, number, image)
        if data is None and image.outcome is ImageOutcome.FETCHED:
            continue
        extension = image_extension(data or b"") or "bin"
        writer_of(storage, parameters.split, shard).add(image.tried, data, extension)
        adopted.add(image_id)
    return adopted


def _original(storage: Storage, split: str, number: int, image: StoredImage) -> bytes | None:
    if image.outcome is not ImageOutcome.FETCHED:
        return None
    try:
        return segments.read_original(storage, split, number, image)
    except RunFailed as spoiled:
        event("spoiled", f"{spoiled}; fetching it again", severity="WARNING")
        return None
