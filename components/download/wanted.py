"""What a crawl asks for, by host key, in columns: a Python object only for what is under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.download.shards import Shard
from components.download.shared import Host, Request
from fec.outcomes import ImageOutcome

# Requests that are made at a time: to look up one takes as long as to look up so many.
_AHEAD: Final = 32


class Requests(Sequence[Request]):
    """The requests of one host key, each made when it is looked at, with those that follow it.

    ``shards`` and ``rows`` say of each which shard it is of, and which of its images.
    """

    def __init__(
        self, key: str, of: Sequence[Shard], shards: NDArray[np.int32], rows: NDArray[np.int32], after: float
    ) -> None:
        self._key, self._of, self._shards, self._rows, self._after = key, of, shards, rows, after
        self._start, self._made = 0, list[Request]()

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Requests: ...

    def __getitem__(self, index: int | slice) -> Request | Requests:
        if isinstance(index, slice):
            return Requests(self._key, self._of, self._shards[index], self._rows[index], self._after)
        place = range(len(self))[index]
        if not 0 <= place - self._start < len(self._made):
            self._start, self._made = place, self._make(slice(place, place + _AHEAD))
        return self._made[place - self._start]

    def _make(self, some: slice) -> list[Request]:
        shards, rows = self._shards[some].tolist(), self._rows[some].tolist()
        images = {number: self._of[number].images for number in set(shards)}
        columns = {number: (table["image_id"], table["url"]) for number, table in images.items()}
        made = []
        for number, row in zip(shards, rows, strict=True):
            shard, (ids, urls) = self._of[number], columns[number]
            late = stubborn(shard, row, self._after)
            made.append(Request(ids[row].as_py(), urls[row].as_py(), shard.number, late, self._key, row))
        return made


def stubborn(shard: Shard, row: int, after: float) -> bool:
    """Whether an image failed for a passing cause so long ago, in seconds, that it had its time."""
    look = shard.known.look(row)
    if look is None or not ImageOutcome(look.outcome).transient:
        return False
    return float(shard.known.tried_at[row]) <= 1000 * (time.time() - after)


def hosts_of(shards: Sequence[Shard], after: float) -> list[Host]:
    """What is wanted of each host key: images never asked for first, each time in another order.

    ``after`` are the seconds a passing failure is given to pass.
    """
    if not any(len(shard.wanted) for shard in shards):
        return []
    good = {key for shard in shards for key in shard.good}
    of = np.concatenate([np.full(len(shard.wanted), place, np.int32) for place, shard in enumerate(shards)])
    rows = np.concatenate([shard.wanted for shard in shards])
    asked_of = [shard.images["host_key"].take(pa.array(shard.wanted)) for shard in shards]
    coded = pa.chunked_array([chunk for column in asked_of for chunk in column.chunks]).unify_dictionaries()
    keys, codes = coded.chunk(0).dictionary, np.concatenate([chunk.indices for chunk in coded.chunks])
    before = np.concatenate([_asked_before(shard) for shard in shards])
    draw = np.random.default_rng()
    order = draw.permutation(len(rows))
    order = order[np.lexsort((before[order], codes[order]))]
    bounds = np.searchsorted(codes[order], np.arange(len(keys) + 1))
    turns = draw.permutation(np.unique(codes))
    hosts = []
    for code in turns[np.argsort(before[order[bounds[turns]]], kind="stable")].tolist():
        some = order[bounds[code] : bounds[code + 1]]
        key = keys[code].as_py()
        hosts.append(Host(key, Requests(key, shards, of[some], rows[some], after), key in good))
    return hosts


def _asked_before(shard: Shard) -> NDArray[np.bool_]:
    """Whether each wanted image of the shard itself was ever asked for."""
    return shard.known.those(lambda look: look.outcome != ImageOutcome.NOT_ASKED)[shard.wanted]
