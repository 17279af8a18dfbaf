"""The unique images and faces of the annotations, and the triplets as references to them, in compact columns."""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate, islice, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from fec import identity, tables
from fec.annotation_blocks import Block, Face
from fec.annotations import consensus
from fec.boxes import Box
from fec.hosts import host_key
from fec.rows import PlannedFace, PlannedImage, PlannedTriplet


class Inventory:
    """What the triplets of ``blocks`` use, in the order of first use: photographs once, faces once, and every triplet.

    Half a million triplets take about 200 MB; nothing is kept per reference but four bytes.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.urls: list[str] = []
        self.boxes: list[Box] = []
        self.image_of_face = array("i")
        self.lines = array("i")
        self.types = array("b")
        self.faces = array("i")  # three a triplet
        self.votes = array("b")
        self.raters = array("i")  # as numbers into `annotators`, one a vote
        self.vote_ends = array("i", [0])
        self.annotators: list[str] = []
        images: dict[str, int] = _numbered()
        faces: dict[Face, int] = _numbered()
        raters: dict[str, int] = _numbered()
        for block in blocks:
            self.faces.fromlist(list(map(faces.__getitem__, block.faces)))
            for face in _latest(faces, len(faces) - len(self.boxes)):
                self.boxes.append(face.box)
                self.image_of_face.append(images[face.url])
            self.lines.extend(block.lines)
            self.types.frombytes(bytes(block.types))
            self.votes.frombytes(bytes(block.votes))
            self.raters.fromlist(list(map(raters.__getitem__, block.annotators)))
            self.vote_ends.extend(islice(accumulate(block.raters, initial=self.vote_ends[-1]), 1, None))
        self.urls = list(images)
        self.annotators = list(raters)

    def keep_first(self, triplets: int) -> None:
        """Forget all but the first ``triplets`` triplets, and what only the others use."""
        # Numbers are given in the order of first use, so what the first triplets use is what comes first.
        del self.lines[triplets:], self.types[triplets:], self.faces[3 * triplets :], self.vote_ends[triplets + 1 :]
        del self.votes[self.vote_ends[-1] :], self.raters[self.vote_ends[-1] :]
        faces = max(self.faces, default=-1) + 1
        del self.boxes[faces:], self.image_of_face[faces:]
        del self.urls[max(self.image_of_face, default=-1) + 1 :]

    def __len__(self) -> int:
        return len(self.lines)

    def images_table(self, image_ids: list[str], host_keys: list[str], shard_of: dict[str, int]) -> pa.Table:
        """``PlannedImage`` rows, sorted by (shard, image_id)."""
        shards = [shard_of[image] for image in image_ids]
        columns = [image_ids, self.urls, host_keys, pa.array(shards, pa.int32())]
        table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=tables.schema(PlannedImage))
        return table.sort_by([("shard", "ascending"), ("image_id", "ascending")])

    def faces_table(self, image_ids: list[str], face_ids: list[str], shard_of: dict[str, int]) -> pa.Table:
        """``PlannedFace`` rows, sorted by (shard, image_id, face_id)."""
        image_column = [image_ids[image] for image in self.image_of_face]
        edges = np.array([(box.left, box.right, box.top, box.bottom) for box in self.boxes], np.float64).T
        columns = [
            pa.array(face_ids),
            pa.array(image_column),
            pa.array([shard_of[image] for image in image_column], pa.int32()),
            *(pa.array(edge) for edge in edges),
            pa.array(self.crop_names()),
        ]
        table = pa.Table.from_arrays(columns, schema=tables.schema(PlannedFace))
        return table.sort_by([("shard", "ascending"), ("image_id", "ascending"), ("face_id", "ascending")])

    def triplets_table(self, face_ids: list[str], agreement: float) -> pa.Table:
        """``PlannedTriplet`` rows, in the order of the annotations."""
        ids = pa.array(face_ids)
        ends = pa.array(np.asarray(self.vote_ends))
        names = pa.array(self.annotators, pa.string()).take(pa.array(np.asarray(self.raters)))
        columns = [
            pa.array(np.asarray(self.lines)),
            *(ids.take(pa.array(np.asarray(self.faces[place::3]))) for place in range(3)),
            pa.array(np.asarray(self.types)),
            pa.ListArray.from_arrays(ends, pa.array(np.asarray(self.votes))),
            pa.ListArray.from_arrays(ends, names),
            pa.array(self.consensuses(agreement), pa.int8()),
        ]
        return pa.Table.from_arrays(columns, schema=tables.schema(PlannedTriplet))

    def consensuses(self, agreement: float) -> list[int | None]:
        """The consensus of each triplet, 1..3 or None."""
        known: dict[bytes, int | None] = {}
        votes, found = self.votes.tobytes(), []
        for start, end in pairwise(self.vote_ends):
            some = votes[start:end]
            if some not in known:
                known[some] = consensus(tuple(some), agreement)
            found.append(known[some])
        return found

    def image_ids(self) -> list[str]:
        return [identity.image_id(url) for url in self.urls]

    def host_keys(self) -> list[str]:
        return [host_key(url) for url in self.urls]

    def face_ids(self) -> list[str]:
        return [identity.face_id(url, box) for url, box in self._faces()]

    def crop_names(self) -> list[str]:
        """The file name of each face's crop; of names that meet, each gets its face's id."""
        names = [identity.crop_name(url, box) for url, box in self._faces()]
        folded = [_as_a_folder_sees(name) for name in names]
        meetings = Counter(folded)
        return [
            identity.crop_name(url, box, distinct=True) if meetings[key] > 1 else name
            for name, key, (url, box) in zip(names, folded, self._faces(), strict=True)
        ]

    def _faces(self) -> Iterable[tuple[str, Box]]:
        return ((self.urls[image], box) for image, box in zip(self.image_of_face, self.boxes, strict=True))


def _latest(keys: dict[Any, int], count: int) -> list[Any]:
    """The last ``count`` keys, in the order in which they came."""
    return list(islice(reversed(keys), count))[::-1]


def _numbered() -> dict[Any, int]:
    """Gives each key it is asked for a number, in the order in which they come."""
    numbers: defaultdict[Any, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def trial_size(triplets: int, max_shards: int, num_shards: int) -> int:
    """How many of ``triplets`` a trial of ``max_shards`` out of ``num_shards`` takes; all if that is no trial."""
    if not 0 < max_shards < num_shards:
        return triplets
    return math.ceil(triplets * max_shards / num_shards)


def _as_a_folder_sees(name: str) -> str:
    """Equal for names that a folder on macOS takes for one: case and composition make no difference there."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
