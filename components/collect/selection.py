"""The triplets whose three faces survived and whose annotators agree, in the order of the records."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import tables
from fec.row_types import names
from fec.rows import FACE_COLUMNS, CollectedTriplet, PlannedTriplet
from fec.subsets import SEPARATOR
from fec.tables import ROW_GROUP

# Of the plan's triplets; who voted is half of what they weigh.
PLANNED: Final = [name for name in names(PlannedTriplet) if name != "annotators"]
_VOTES: Final = tables.schema(CollectedTriplet).field("votes").type


@dataclass(frozen=True)
class Selection:
    """The triplets that become records, some 30 bytes each, in the order of the plan; ``order`` is that of the records.

    ``faces``: int32 [n, 3], places in ``ids``. ``line``: int32 [n]; ``type``, ``odd_one_out``: int8 [n], 1..3;
    ``votes``: a list of int8 each. ``planned`` and ``surviving`` count the triplets of the plan, and those with three
    good faces, of which ``undecided`` have no consensus; ``unknown`` the faces of the plan's triplets that no manifest
    has; ``leaking`` the triplets with three good faces and a consensus of which at least one face leaks, whether or not
    they are dropped.
    """

    ids: pa.Array
    faces: NDArray[np.int32]
    line: NDArray[np.int32]
    type: NDArray[np.int8]
    odd_one_out: NDArray[np.int8]
    votes: pa.ListArray
    order: NDArray[np.int64]
    record_shards: int
    planned: int
    surviving: int
    undecided: int
    unknown: int
    leaking: int
    unlisted: int

    def __len__(self) -> int:
        return len(self.line)

    def row_groups(self) -> Iterator[pa.Table]:
        """The triplets (CollectedTriplet), ROW_GROUP at a time, in the order of the records."""
        for start in range(0, len(self), ROW_GROUP):
            columns = [self.column(name, start) for name in names(CollectedTriplet)]
            yield pa.table(columns, schema=tables.schema(CollectedTriplet))

    def column(self, name: str, start: int) -> pa.Array:
        """A column of these, ROW_GROUP rows of it or those up to the end, in the order of the records."""
        rows = self.order[start : start + ROW_GROUP]
        if name in FACE_COLUMNS:
            return self.ids.take(pa.array(self.faces[rows, FACE_COLUMNS.index(name)]))
        if name == "votes":
            return self.votes.take(pa.array(rows))
        if name == "record_shard":
            places = np.arange(start, start + len(rows), dtype=np.int64)
            return pa.array(places * self.record_shards // len(self), pa.int32())
        return pa.array(getattr(self, name)[rows])


@dataclass(frozen=True)
class Choice:
    """The faces there are: ``leaking`` says of each good one, the first of ``ids``, whether eval has it as well.

    ``drop``: triplets with a leaking face are left out. ``listed``: only these triplets are kept (``fec.subsets``).
    """

    ids: pa.Array
    leaking: NDArray[np.bool_]
    drop: bool
    listed: pa.Array | None = None


def select(
    batches: Iterable[pa.RecordBatch], choice: Choice, seed: int, triplets_per_record_shard: int, record_shards: int
) -> Selection:
    """What survives of the plan's triplets (PLANNED).

    The order depends on the seed and each triplet's line only, so it is the same however the images were
    spread over shards. ``record_shards`` 0: as many as ``triplets_per_record_shard`` asks for.
    """
    ids, good = choice.ids, len(choice.leaking)
    leaks = np.concatenate([choice.leaking, np.zeros(len(ids) - good + 1, bool)])
    faces, lines = [np.empty((0, 3), np.int32)], [np.empty(0, np.int32)]
    types, odd = [np.empty(0, np.int8)], [np.empty(0, np.int8)]
    votes = [pa.array([], _VOTES)]
    planned = surviving = undecided = leaking = unlisted = 0
    unknown: set[str] = set()
    for batch in batches:
        places = np.stack([_places(batch[name], ids) for name in FACE_COLUMNS], axis=1)
        for place, name in enumerate(FACE_COLUMNS):
            unknown.update(batch[name].filter(pa.array(places[:, place] < 0)).to_pylist())
        survives = ((places >= 0) & (places < good)).all(axis=1)
        kept = survives & batch["odd_one_out"].is_valid().to_numpy(zero_copy_only=False)
        undecided += int((survives & ~kept).sum())
        listed = _listed(batch, choice.listed)
        unlisted += int((kept & ~listed).sum())
        kept &= listed
        leaky = kept & leaks[places].any(axis=1)
        leaking += int(leaky.sum())
        kept &= ~(leaky & choice.drop)
        planned += len(batch)
        surviving += int(survives.sum())
        part = batch.filter(pa.array(kept))
        faces.append(places[kept])
        lines.append(part["line"].to_numpy())
        types.append(part["type"].to_numpy())
        odd.append(part["odd_one_out"].to_numpy())
        votes.append(part["votes"].cast(_VOTES))
    line = np.concatenate(lines)
    shards = record_shards or -(-len(line) // triplets_per_record_shard)
    return Selection(
        ids,
        np.concatenate(faces),
        line,
        np.concatenate(types),
        np.concatenate(odd),
        pa.concat_arrays(votes),
        np.argsort(_shuffle_keys(line, seed), kind="stable"),
        min(len(line), shards),
        planned,
        surviving,
        undecided,
        len(unknown),
        leaking,
        unlisted,
    )


def _listed(batch: pa.RecordBatch, triplets: pa.Array | None) -> NDArray[np.bool_]:
    """Which rows are among ``triplets``; all, where there is no such list."""
    if triplets is None:
        return np.ones(len(batch), bool)
    named = pc.binary_join_element_wise(*(batch[name] for name in FACE_COLUMNS), SEPARATOR)
    found: NDArray[np.bool_] = pc.is_in(named, value_set=triplets).to_numpy(zero_copy_only=False)
    return found


def _places(face_ids: pa.Array, ids: pa.Array) -> NDArray[np.int32]:
    places: NDArray[np.int32] = pc.index_in(face_ids, value_set=ids).fill_null(-1).to_numpy()
    return places


def _shuffle_keys(lines: NDArray[np.int32], seed: int) -> NDArray[np.uint64]:
    """A 64-bit hash of (seed, line) for each line: an order that no library's generator can change."""
    key = struct.pack("<q", seed)
    keys = np.empty(len(lines), np.uint64)
    for start in range(0, len(lines), ROW_GROUP):
        part = lines[start : start + ROW_GROUP].tolist()
        hashes = [hashlib.blake2b(struct.pack("<q", line), digest_size=8, key=key).digest() for line in part]
        keys[start : start + ROW_GROUP] = np.frombuffer(b"".join(hashes), dtype=">u8")
    return keys
