"""What stands in a record file: a payload an example, for each kind of file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.datagen.arrangement import Arrangement, arrange, most_held
from components.datagen.collected import Collected
from components.datagen.face_cache import FaceCache
from fec import tables
from fec.face_records import FaceExample, IdTripletExample
from fec.presets import first_row
from fec.record_families import Kind
from fec.records import TripletExample
from fec.rows import CollectedFace


@dataclass(frozen=True)
class Examples:
    """The examples of each record shard; ``cache`` must hold the faces of the shards asked for."""

    collected: Collected
    record_shards: int
    cache: FaceCache

    def triplets(self, number: int) -> Iterator[bytes]:
        """Triplets with their faces inside, in the order of collect."""
        c = self.collected
        ids = self._face_ids
        rows = self._rows(number)
        part = slice(rows.start, rows.stop)
        ends = c.vote_ends[rows.start : rows.stop + 1].tolist()
        columns = (c.used[part], c.odd_one_out[part], c.type[part])
        for (x, y, z), odd, kind, start, end in zip(
            *(column.tolist() for column in columns), ends[:-1], ends[1:], strict=True
        ):
            images = (self.cache[x], self.cache[y], self.cache[z])
            yield TripletExample(images, (ids[x], ids[y], ids[z]), odd, kind, c.votes[start:end]).encode()

    def faces(self, number: int) -> Iterator[bytes]:
        """The faces that this shard's ids are the first to name, in the order of that."""
        face_range = self._face_range(number)
        rows = self.arrangement.faces[face_range]
        uses = self.arrangement.uses[face_range].tolist()
        collected = tables.to_rows(self.collected.faces.take(rows), CollectedFace)
        for face, row, count in zip(collected, rows.tolist(), uses, strict=True):
            yield FaceExample(
                face.face_id,
                self.cache[row],
                face.image_id,
                face.crop_sha256,
                face.confidence,
                face.detector,
                count,
            ).encode()

    def ids(self, number: int) -> Iterator[bytes]:
        """Triplets that name their faces, those that share faces after one another."""
        c = self.collected
        ids = self._face_ids
        for place in self._rows(number):
            row = int(self.arrangement.triplets[place])
            x, y, z = c.used[row].tolist()
            votes = c.votes[c.vote_ends[row] : c.vote_ends[row + 1]]
            counts = (votes.count(1), votes.count(2), votes.count(3))
            yield IdTripletExample((ids[x], ids[y], ids[z]), int(c.odd_one_out[row]), int(c.type[row]), counts).encode()

    def of(self, kind: Kind, number: int) -> Iterator[bytes]:
        """The examples of a file."""
        return {Kind.TRIPLETS: self.triplets, Kind.FACES: self.faces, Kind.IDS: self.ids}[kind](number)

    def needed(self, kind: Kind, number: int) -> NDArray[np.int64]:
        """The rows of the faces that must be small before the file can be written."""
        if kind is Kind.IDS:
            return np.empty(0, np.int64)
        if kind is Kind.FACES:
            return self.arrangement.faces[self._face_range(number)]
        rows = self._rows(number)
        return np.unique(self.collected.used[rows.start : rows.stop]).astype(np.int64)

    @cached_property
    def arrangement(self) -> Arrangement:
        return arrange(self.collected.used)

    @cached_property
    def faces_held(self) -> int:
        """The most faces a reader of the ids holds at a time."""
        starts = [
            first_row(number, len(self.collected), self.record_shards) for number in range(self.record_shards + 1)
        ]
        return most_held(self.arrangement, self.collected.used, np.array(starts))

    @cached_property
    def _face_ids(self) -> list[str]:
        ids: list[str] = self.collected.faces["face_id"].to_pylist()
        return ids

    def _rows(self, number: int) -> range:
        count = len(self.collected)
        return range(first_row(number, count, self.record_shards), first_row(number + 1, count, self.record_shards))

    def _face_range(self, number: int) -> slice:
        rows = self._rows(number)
        until = self.arrangement.faces_until
        return slice(int(until[rows.start]), int(until[rows.stop]))
