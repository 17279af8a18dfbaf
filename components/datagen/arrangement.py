"""An order of the triplets in which those that share faces follow one another, so that few faces are held at a time."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Arrangement:
    """``triplets`` in their new order; ``faces`` in the order of their first use, each once; both as row numbers.

    ``faces_until[i]`` is how many of ``faces`` the first i triplets need, i from 0 to all. ``uses`` counts the
    triplets of each of ``faces``.
    """

    triplets: Rows
    faces: Rows
    faces_until: Rows
    uses: Rows


def arrange(used: NDArray[np.int32]) -> Arrangement:
    """Arrange triplets by the faces they use, int32 [n, 3], greedily: next comes one that needs the fewest new faces.

    Of several, the one that has waited longest. Takes linear time; the same triplets give the same order.
    """
    order = _order(used)
    flat = used[order].ravel()
    faces, first, uses = np.unique(flat, return_index=True, return_counts=True)
    by_first = np.argsort(first, kind="stable")
    new = np.zeros(len(flat), np.int64)
    new[first] = 1
    until = np.concatenate([[0], np.cumsum(new.reshape(-1, 3).sum(axis=1))])
    return Arrangement(order, faces[by_first].astype(np.int64), until.astype(np.int64), uses[by_first].astype(np.int64))


def most_held(arrangement: Arrangement, used: NDArray[np.int32], first_rows: Rows) -> int:
    """The most faces a reader holds at a time, that takes in a record shard's faces before its triplets.

    ``first_rows`` are the first triplets of the record shards, and at its end the number of all. A face is
    held from its record shard's start to the last triplet that uses it.
    """
    flat = used[arrangement.triplets].ravel()[::-1]
    _, last = np.unique(flat, return_index=True)
    freed = np.bincount((len(flat) - 1 - last) // 3, minlength=len(used))
    held = most = 0
    for start, end in zip(first_rows[:-1].tolist(), first_rows[1:].tolist(), strict=True):
        held += int(arrangement.faces_until[end] - arrangement.faces_until[start])
        most = max(most, held)
        held -= int(freed[start:end].sum())
    return most


def _order(used: NDArray[np.int32]) -> Rows:
    count = len(used)
    flat = used.ravel()
    by_face = np.argsort(flat, kind="stable")
    starts = array("q", np.searchsorted(flat[by_face], np.arange(int(flat.max()) + 2)).tobytes())
    triplets_of = array("i", (by_face // 3).astype(np.int32).tobytes())
    faces_of = array("i", flat.tobytes())
    held = bytearray(len(starts))
    taken = bytearray(count)
    missing = bytearray([3]) * count
    # Triplets by how many new faces they need; an entry that has become cheaper since is passed over.
    waiting: tuple[deque[int], deque[int], deque[int]] = (deque(), deque(), deque())
    order = array("q")
    untouched = iter(range(count))
    while len(order) < count:
        triplet = _next(waiting, missing, taken)
        if triplet is None:
            triplet = next(number for number in untouched if not taken[number])
        taken[triplet] = 1
        order.append(triplet)
        for face in faces_of[3 * triplet : 3 * triplet + 3]:
            if not held[face]:
                held[face] = 1
                for other in triplets_of[starts[face] : starts[face + 1]]:
                    if not taken[other]:
                        missing[other] -= 1
                        waiting[missing[other]].append(other)
    return np.array(order)


def _next(waiting: tuple[deque[int], ...], missing: bytearray, taken: bytearray) -> int | None:
    for new_faces, queue in enumerate(waiting):
        while queue:
            triplet = queue.popleft()
            if not taken[triplet] and missing[triplet] == new_faces:
                return triplet
    return None
