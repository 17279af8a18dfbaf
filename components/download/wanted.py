"""What a crawl asks for, by host key, in columns: a Python object only for what is under way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.download.shards import Shard
from components.download.shared import Host, Request


class Requests(Sequence[Request]):
    """The requests of one host key, each made when it is looked at.

    ``shards`` and ``rows`` say of each which shard it is of, and which of its images.
    """

    def __init__(self, of: Sequence[Shard], shards: NDArray[np.int32], rows: NDArray[np.int32], after: float) -> None:
        self._of, self._shards, self._rows, self._after = of, shards, rows, after

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Requests: ...

    def __getitem__(self, index: int | slice) -> Request | Requests:
        if isinstance(index, slice):
            return Requests(self._of, self._shards[index], self._rows[index], self._after)
        shard, row = self._of[self._shards[index]], int(self._rows[index])
        image_id, url, key = (shard.images[name][row].as_py() for name in ("image_id", "url", "host_key"))
        return Request(image_id, url, shard.number, stubborn(shard, image_id, self._after), key)


def stubborn(shard: Shard, image_id: str, after: float) -> bool:
    """Whether an image failed for a passing cause so long ago, in seconds, that it had its time."""
    known = shard.known.get(image_id)
    return known is not None and known.outcome.transient and known.finished_at <= _long_ago(after)


def hosts_of(shards: Sequence[Shard], after: float) -> list[Host]:
    """What is wanted of each host key: images never asked for first, each time in another order.

    ``after`` are the seconds a passing failure is given to pass.
    """
    if not any(len(shard.wanted) for shard in shards):
        return []
    good = {key for shard in shards for key in shard.good}
    of = np.concatenate([np.full(len(shard.wanted), place, np.int32) for place, shard in enumerate(shards)])
    rows = np.concatenate([shard.wanted for shard in shards]).astype(np.int32)
    keys = pa.chunked_array(
        [chunk for shard in shards for chunk in shard.images["host_key"].take(pa.array(shard.wanted)).chunks],
        pa.string(),
    ).combine_chunks()
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy()
    before = np.concatenate([_asked_before(shard) for shard in shards])
    draw = np.random.default_rng()
    order = draw.permutation(len(rows))
    order = order[np.lexsort((before[order], codes[order]))]
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    turns = draw.permutation(len(encoded.dictionary))
    hosts = []
    for code in turns[np.argsort(before[order[bounds[turns]]], kind="stable")].tolist():
        some = order[bounds[code] : bounds[code + 1]]
        key = encoded.dictionary[code].as_py()
        hosts.append(Host(key, Requests(shards, of[some], rows[some], after), key in good))
    return hosts


def _asked_before(shard: Shard) -> NDArray[np.bool_]:
    """Whether each wanted image of the shard was ever asked for."""
    asked = [image_id for image_id in shard.known if shard.asked_before(image_id)]
    found: NDArray[np.bool_] = pc.is_in(shard.wanted_ids, pa.array(asked, pa.string())).to_numpy()
    return found


def _long_ago(seconds: float) -> datetime:
    now = datetime.now(UTC)
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
