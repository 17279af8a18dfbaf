"""The tables of a plan, made of its inventory a row group at a time."""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.plan.inventory import Inventory
from fec import identity, tables
from fec.rows import PlannedFace, PlannedImage, PlannedTriplet

# Names that are Python objects at a time.
_AT_ONCE: Final = 4096


@dataclass(frozen=True)
class Names:
    """What the photographs and the faces of an inventory are called, in its order."""

    images: pa.Array
    faces: pa.Array
    crops: pa.Array


def names_of(inventory: Inventory, image_ids: Sequence[str]) -> Names:
    """The names of all of them; of crops whose names meet, each gets its face's id."""
    ids, crops, hashes = [], [], array("q")
    left = inventory.faces_in_turn()
    while some := [identity.face_names(url, box) for url, box in islice(left, _AT_ONCE)]:
        ids.append(pa.array([face_id for face_id, _ in some]))
        crops.append(pa.array([crop for _, crop in some]))
        hashes.extend(hash(_as_a_folder_sees(crop)) for _, crop in some)
    faces, together = pa.concat_arrays(ids), pa.concat_arrays(crops)
    meeting = _meeting(together, np.asarray(hashes))
    if meeting.any():
        distinct = [
            identity.crop_name(url, box, distinct=True) for url, box in compress(inventory.faces_in_turn(), meeting)
        ]
        together = pc.replace_with_mask(together, pa.array(meeting), pa.array(distinct))
    return Names(pa.array(image_ids, pa.string()), faces, together)


def _meeting(names: pa.Array, hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which names a folder takes for the same as others; ``hashes`` are of what it sees."""
    _, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(counts[which] > 1)
    seen = [_as_a_folder_sees(name) for name in names.take(pa.array(suspects)).to_pylist()]
    times = Counter(seen)
    meeting = np.zeros(len(names), bool)
    meeting[suspects] = [times[name] > 1 for name in seen]
    return meeting


def images(
    inventory: Inventory, names: Names, host_keys: Sequence[str], shards: NDArray[np.int32]
) -> Iterator[pa.Table]:
    """``PlannedImage`` rows, sorted by (shard, image_id)."""
    columns = [names.images, inventory.urls, pa.array(host_keys, pa.string()), pa.array(shards)]
    for some in _groups(np.lexsort((_sortable(names.images), shards))):
        yield _table([column.take(pa.array(some)) for column in columns], PlannedImage)


def faces(inventory: Inventory, names: Names, shards: NDArray[np.int32]) -> Iterator[pa.Table]:
    """``PlannedFace`` rows, sorted by (shard, image_id, face_id)."""
    image_of = inventory.image_of
    order = np.lexsort((_sortable(names.faces), _sortable(names.images)[image_of], shards[image_of]))
    for some in _groups(order):
        face, image = pa.array(some), image_of[some]
        ids = names.faces.take(face), names.images.take(pa.array(image))
        edges = [pa.array(edge) for edge in inventory.edges[some].T]
        yield _table([*ids, pa.array(shards[image]), *edges, names.crops.take(face)], PlannedFace)


def triplets(inventory: Inventory, names: Names, consensuses: NDArray[np.int8]) -> Iterator[pa.Table]:
    """``PlannedTriplet`` rows, in the order of the annotations; a consensus of 0 is none."""
    of, lines, kinds = np.asarray(inventory.faces), np.asarray(inventory.lines), np.asarray(inventory.types)
    votes, raters, vote_ends = (np.asarray(some) for some in (inventory.votes, inventory.raters, inventory.vote_ends))
    for some in _groups(np.arange(len(inventory))):
        rows = slice(some[0], some[-1] + 1)
        ends = vote_ends[some[0] : some[-1] + 2]
        said, ends = slice(ends[0], ends[-1]), pa.array(ends - ends[0])
        three = of[3 * some[0] : 3 * some[-1] + 3]
        columns = [
            pa.array(lines[rows]),
            *(names.faces.take(pa.array(three[place::3])) for place in range(3)),
            pa.array(kinds[rows]),
            pa.ListArray.from_arrays(ends, pa.array(votes[said])),
            pa.ListArray.from_arrays(ends, inventory.annotators.take(pa.array(raters[said]))),
            pa.array(consensuses[rows], mask=consensuses[rows] == 0),
        ]
        yield _table(columns, PlannedTriplet)


def _groups(order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """``order`` a row group at a time."""
    for start in range(0, len(order), tables.ROW_GROUP):
        yield order[start : start + tables.ROW_GROUP]


def _table(columns: list[pa.Array], row: type[Any]) -> pa.Table:
    return pa.Table.from_arrays(columns, schema=tables.schema(row))


def _sortable(ids: pa.Array) -> NDArray[np.bytes_]:
    """Ids, which are all of one length, as bytes that sort as they do."""
    return np.frombuffer(ids.buffers()[2], f"S{identity.ID_HEX_DIGITS}", len(ids))


def _as_a_folder_sees(name: str) -> str:
    """Equal for names that a folder on macOS takes for one: case and composition make no difference there."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
