"""The unique images and faces of the annotations, and the triplets as references to them, in compact columns."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fec.annotation_blocks import Block
from fec.annotation_faces import Faces
from fec.annotations import consensus
from fec.boxes import Box

# Photographs, or faces, that are Python objects at a time.
_AT_ONCE: Final = 4096


class Inventory:
    """What triplets use: photographs once, faces once, in the order of first use; and every triplet.

    ``urls`` are those of the photographs. ``image_of`` is the photograph of each face, and ``edges`` are its left,
    right, top and bottom. Of a triplet, ``lines`` has where it stands, ``faces`` its three faces, and from one of
    ``vote_ends`` to the next are its ``votes`` and its ``raters``, the latter as numbers into ``annotators``.
    """

    def __init__(self, blocks: Iterable[Block], known: Faces) -> None:
        """Read the ``blocks``, whose faces come to be ``known`` meanwhile."""
        self.lines = array("i")
        self.types = array("b")
        self.faces = array("i")
        self.votes = array("b")
        self.raters = array("i")
        self.vote_ends = array("i", [0])
        raters: defaultdict[str, int] = defaultdict()
        raters.default_factory = raters.__len__
        for block in blocks:
            self.faces.fromlist(list(block.faces))
            self.lines.extend(block.lines)
            self.types.frombytes(bytes(block.types))
            self.votes.frombytes(bytes(block.votes))
            self.raters.fromlist(list(map(raters.__getitem__, block.annotators)))
            self.vote_ends.extend(islice(accumulate(block.raters, initial=self.vote_ends[-1]), 1, None))
        self.annotators = pa.array(raters, pa.string())
        self.urls = pa.array(known.urls, pa.string())
        self.image_of = np.array(known.image_of, np.int32)
        self.edges = np.array(known.edges, np.float64).reshape(-1, 4)

    def keep_first(self, triplets: int) -> None:
        """Forget all but the first ``triplets`` triplets, and what only the others use."""
        # Numbers are given in the order of first use, so what the first triplets use is what comes first.
        del self.lines[triplets:], self.types[triplets:], self.faces[3 * triplets :], self.vote_ends[triplets + 1 :]
        del self.votes[self.vote_ends[-1] :], self.raters[self.vote_ends[-1] :]
        faces = max(self.faces, default=-1) + 1
        self.image_of, self.edges = self.image_of[:faces], self.edges[:faces]
        self.urls = self.urls[: int(self.image_of.max(initial=-1)) + 1]

    def __len__(self) -> int:
        return len(self.lines)

    def urls_in_turn(self) -> Iterator[str]:
        """The URL of each photograph."""
        for start in range(0, len(self.urls), _AT_ONCE):
            yield from self.urls.slice(start, _AT_ONCE).to_pylist()

    def faces_in_turn(self) -> Iterator[tuple[str, Box]]:
        """The URL and the box of each face."""
        for start in range(0, len(self.image_of), _AT_ONCE):
            urls = self.urls.take(pa.array(self.image_of[start : start + _AT_ONCE])).to_pylist()
            for url, edges in zip(urls, self.edges[start : start + _AT_ONCE].tolist(), strict=True):
                yield url, Box(*edges)

    def consensuses(self, agreement: float) -> NDArray[np.int8]:
        """The consensus of each triplet, 1..3, or 0 for none."""
        votes, ends = np.asarray(self.votes), np.asarray(self.vote_ends)
        # How many name each face is all there is to a consensus.
        base, codes = 1 + int(np.diff(ends).max()), np.zeros(len(self), np.int64)
        for face in (1, 2, 3):
            codes = codes * base + np.add.reduceat(votes == face, ends[:-1], dtype=np.int32)
        _, first, which = np.unique(codes, return_index=True, return_inverse=True)
        different = [tuple(votes[ends[at] : ends[at + 1]].tolist()) for at in first]
        consensuses: NDArray[np.int8] = np.array([consensus(some, agreement) or 0 for some in different], np.int8)[
            which
        ]
        return consensuses


def trial_size(triplets: int, max_shards: int, num_shards: int) -> int:
    """How many of ``triplets`` a trial of ``max_shards`` out of ``num_shards`` takes; all if that is no trial."""
    if not 0 < max_shards < num_shards:
        return triplets
    return math.ceil(triplets * max_shards / num_shards)
