"""Batches whose triplets share faces, so that each face of a batch goes through the network once.

What a step costs follows its faces, not its triplets (benchmarks/train.py).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Triplets among which those that share faces are looked for: some 20 MB, whatever the set's size.
BUFFER: Final = 16_384


@dataclass(frozen=True)
class SharedBatch:
    """``rows`` of the triplets; ``faces``, each once but for those that fill the number up; ``places`` [.., 3] of the
    triplets' faces in these; and how many of ``rows`` are ``distinct``: those are first, and come again behind."""

    rows: NDArray[np.int32]
    faces: NDArray[np.int32]
    places: NDArray[np.int32]
    distinct: int


def shared_batches(
    used: NDArray[np.int32], order: Iterable[int], batch_size: int, faces_per_batch: int, buffer: int = BUFFER
) -> Iterator[SharedBatch]:
    """Regroup the triplets that come in ``order`` (rows of ``used`` [n, 3]: their faces) into batches that share faces.

    Each comes as often as in ``order`` and no batch has it twice, but for what fills a batch up whose faces allow of no
    other. A batch begins with the triplet that has waited longest; next come those that need as many new faces as
    there are left for each, or the fewest more: with three faces a triplet the order stays as it is. At most ``buffer``
    triplets are looked at a time. The same arguments give the same batches.
    """
    waiting = _Waiting(used)
    stream = iter(order)
    while True:
        for row in stream:
            waiting.add(int(row))
            if len(waiting) >= buffer:
                break
        if not len(waiting):
            return
        yield _batch(waiting, batch_size, faces_per_batch)


class _Waiting:
    """Triplets, by a number that grows, and those of each face."""

    def __init__(self, used: NDArray[np.int32]) -> None:
        self._used = used
        self._next = 0
        # An ordered one finds its first entry at once, however many were taken from before it.
        self.rows: OrderedDict[int, int] = OrderedDict()
        self.faces: dict[int, tuple[int, ...]] = {}
        # By face: the triplets that have it, and in how many places.
        self.of_face: dict[int, dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: int) -> None:
        number, self._next = self._next, self._next + 1
        self.rows[number] = row
        self.faces[number] = faces = tuple(self._used[row].tolist())
        for face in faces:
            places = self.of_face.setdefault(face, {})
            places[number] = places.get(number, 0) + 1

    def take(self, number: int) -> tuple[int, tuple[int, ...]]:
        """The row of a triplet and its faces; it waits no longer."""
        faces = self.faces.pop(number)
        for face in set(faces):
            del self.of_face[face][number]
            if not self.of_face[face]:
                del self.of_face[face]
        return self.rows.pop(number), faces


class _Growing:
    """A batch as far as it has come: places of the faces it holds by face, and its triplets' faces by row."""

    def __init__(self, waiting: _Waiting) -> None:
        self._waiting = waiting
        self.held: dict[int, int] = {}
        self.rows: dict[int, tuple[int, ...]] = {}
        self._missing: dict[int, int] = {}
        # Triplets by how many new faces they need; an entry that has become cheaper since is passed over.
        self._cheap: tuple[deque[int], deque[int], deque[int]] = (deque(), deque(), deque())

    def take(self, number: int) -> None:
        row, faces = self._waiting.take(number)
        self.rows[row] = faces
        for face in faces:
            if face not in self.held:
                self.held[face] = len(self.held)
                for other, places in self._waiting.of_face.get(face, {}).items():
                    self._missing[other] = missing = self._missing.get(other, 3) - places
                    self._cheap[missing].append(other)

    def next(self, wanted: int, affordable: int) -> int | None:
        """A triplet that needs ``wanted`` new faces, or the next fewer, or else the fewest more that are affordable."""
        for new in (*range(min(wanted, 3), -1, -1), *range(wanted + 1, 4)):
            if new <= affordable and (found := self._oldest(new)) is not None:
                return found
        return None

    def _oldest(self, new: int) -> int | None:
        alive = self._waiting.rows
        if new == 3:
            return next((number for number, row in alive.items() if row not in self.rows), None)
        queue = self._cheap[new]
        while queue:
            number = queue.popleft()
            if number in alive and self._missing[number] == new and alive[number] not in self.rows:
                return number
        return None


def _batch(waiting: _Waiting, batch_size: int, faces_per_batch: int) -> SharedBatch:
    growing = _Growing(waiting)
    while (left := batch_size - len(growing.rows)) and len(waiting):
        affordable = faces_per_batch - len(growing.held)
        number = growing.next(affordable // left, affordable)
        if number is None:
            break
        growing.take(number)
    places = [[growing.held[face] for face in faces] for faces in growing.rows.values()]
    return SharedBatch(
        np.resize(np.array(list(growing.rows), np.int32), batch_size),
        np.resize(np.array(list(growing.held), np.int32), faces_per_batch),
        np.resize(np.array(places, np.int32), (batch_size, 3)),
        len(growing.rows),
    )
