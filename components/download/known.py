"""What is known of the images of a shard, in columns: some bytes an image, for a shard may be all of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.download import archive
from components.download.archive import Look
from fec import segments
from fec.segments import Ids
from fec.storage import Storage

NOTHING: Final = -1
_DIGEST: Final = 32
# Digests that are Python objects at a time.
_ROWS: Final = 1024


@dataclass(frozen=True)
class Known:
    """What the segments of a shard say of its images.

    ``which`` says of each image which of ``looks`` is known of it, NOTHING if it was never tried; ``tried_at`` when it
    ended so, in ms since 1970, and ``segment`` which segment tells it. ``digests`` are the SHA-256 of the originals, if
    they were asked for: a row of 32 bytes each, 0 where there is none. ``manifests`` are the manifests' own, by name.
    """

    looks: Sequence[Look]
    which: NDArray[np.int32]
    tried_at: NDArray[np.int64]
    segment: NDArray[np.int32]
    digests: NDArray[np.uint8]
    manifests: Mapping[str, str]

    def look(self, row: int) -> Look | None:
        """What is known of one image, or None."""
        which = self.which[row]
        return None if which == NOTHING else self.looks[which]

    def those(self, wanted: Callable[[Look], bool]) -> NDArray[np.bool_]:
        """The images of which such things are known; of those never tried none."""
        holds: NDArray[np.bool_] = np.array([*map(wanted, self.looks), False])[self.which]
        return holds

    def counts(self) -> Counter[Look]:
        """Of how many images each thing is known."""
        numbers = np.bincount(self.which[self.which != NOTHING], minlength=len(self.looks)).tolist()
        return Counter({look: number for look, number in zip(self.looks, numbers, strict=True) if number})

    def sha256(self) -> Iterator[str | None]:
        """The SHA-256 of each original, in hex, or None."""
        for digest in self.digests:
            yield digest.tobytes().hex() if digest.any() else None


def known(
    storage: Storage, split: str, shard: int, ids: Ids, named: Collection[str] | None = None, digests: bool = False
) -> Known:
    """What is known of the images ``ids`` of a shard, by all its manifests or those ``named``.

    Raises RunFailed for a manifest that cannot be read.
    """
    looks: dict[Look, int] = {}
    which = np.full(len(ids), NOTHING, np.int32)
    tried_at = np.zeros(len(ids), np.int64)
    segment = np.full(len(ids), NOTHING, np.int32)
    sha256 = np.zeros((len(ids) if digests else 0, _DIGEST), np.uint8)
    manifests = {}
    columns = [*archive.COLUMNS, "cause", "finished_at", *["sha256"] * digests]
    for told in segments.told(storage, split, shard, columns, ids, named):
        manifests[told.manifest] = told.sha256
        which[told.places] = _numbered(told.rows, looks)
        tried_at[told.places] = told.rows["finished_at"].cast(pa.int64()).to_numpy()
        segment[told.places] = told.segment
        if digests:
            sha256[told.places] = _digests(told.rows["sha256"])
    return Known(list(looks), which, tried_at, segment, sha256, manifests)


def _numbered(rows: pa.Table, looks: dict[Look, int]) -> NDArray[np.int32]:
    """The number of each row's look; one that is new gets the next."""
    codes = np.zeros(len(rows), np.int64)
    for name in (*archive.COLUMNS, "cause"):
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        codes = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    numbers = [looks.setdefault(look, len(looks)) for look in archive.looks_of(rows.take(pa.array(first)))]
    return np.array(numbers, np.int32)[inverse]


def _digests(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    found = np.empty((len(column), _DIGEST), np.uint8)
    for start in range(0, len(column), _ROWS):
        some = column.slice(start, _ROWS).to_pylist()
        digests = b"".join(bytes(_DIGEST) if digest is None else bytes.fromhex(digest) for digest in some)
        found[start : start + len(some)] = np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST)
    return found
