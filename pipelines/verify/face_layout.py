"""Files of faces and files of triplets that name them, taken together: do they hold what the manifests hold, once?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec.rows import FACE_COLUMNS
from pipelines.verify import stored
from pipelines.verify.findings import Fault

_VOTES: Final = ("votes_a", "votes_b", "votes_c")
# Of a face in a record, and of the same face in collect's table.
_ALIKE: Final = ("image_id", "crop_sha256", "confidence", "detector")


@dataclass(frozen=True)
class Files:
    """What was read of the files of one kind, in order: path and records (IdTriplet or Face of ``examples``).

    ``name`` stands for all of them; ``complete`` says that there is no other and that each was read to its end.
    """

    name: str
    read: Sequence[tuple[str, pa.Table]]
    complete: bool


@dataclass(frozen=True)
class Wanted:
    """The triplets of a preset and all collected faces (CollectedTriplet, CollectedFace)."""

    triplets: pa.Table
    faces: pa.Table

    def rows(self, triplets: pa.Table) -> NDArray[np.int64]:
        """The rows of ``faces`` that triplets use, [n, 3]; -1 where there is no such face."""
        ids = self.faces["face_id"]
        columns = [pc.fill_null(pc.index_in(triplets[name], ids), -1).to_numpy() for name in FACE_COLUMNS]
        return np.stack(columns, axis=1).astype(np.int64)


def wrong_triplets(files: Files, wanted: Wanted) -> Iterator[Fault]:
    """Each triplet of the manifest is in one file, once, with its labels and votes, and no other is."""
    tables = [table for _, table in files.read]
    used, labels = wanted.rows(wanted.triplets), _labels_wanted(wanted.triplets)
    found = [wanted.rows(table) for table in tables]
    expected, *keys = _keys(
        len(wanted.faces),
        [(used, labels), *((rows, _labels(table)) for rows, table in zip(found, tables, strict=True))],
    )
    for (path, table), rows, key in zip(files.read, found, keys, strict=True):
        strange = np.flatnonzero((rows < 0).any(axis=1) | ~np.isin(key, expected))
        if len(strange):
            row = table.slice(int(strange[0]), 1).to_pylist()[0]
            ids = " ".join(row[name] for name in FACE_COLUMNS)
            yield Fault(
                path,
                f"record {row['record']}: the manifest has no triplet {ids} with these labels and votes"
                + _and_more(len(strange)),
            )
    every, counts = np.unique(np.concatenate([np.empty(0, np.int64), *keys]), return_counts=True)
    order, first, times = np.unique(expected, return_index=True, return_counts=True)
    held = np.zeros(len(order), np.int64)
    known = np.isin(every, order)
    held[np.searchsorted(order, every[known])] = counts[known]
    lines = wanted.triplets["line"].to_numpy()
    if files.complete and (held < times).any():
        yield Fault(files.name, f"lack the triplets of lines {_lines(lines, first[held < times])}")
    if (held > times).any():
        yield Fault(files.name, f"hold more than once the triplets of lines {_lines(lines, first[held > times])}")


def wrong_faces(files: Files, wanted: Wanted) -> Iterator[Fault]:
    """Each face that the triplets use is in one file, once, with what is known of it."""
    uses = _uses(wanted)
    held = np.zeros(len(wanted.faces), np.int64)
    for path, table in files.read:
        place = pc.index_in(table["face_id"], wanted.faces["face_id"])
        rows = pc.fill_null(place, -1).to_numpy()
        known = rows >= 0
        known[known] = uses[rows[known]] > 0
        yield from _first(path, table, ~known, "no triplet of the manifest uses this face")
        np.add.at(held, rows[known], 1)
        for name in _ALIKE:
            same = pc.fill_null(pc.equal(table[name], wanted.faces[name].take(place)), False).to_numpy()
            yield from _first(path, table, known & ~same, f"its {name} is not that of the manifest")
        counted = np.zeros(len(table), np.int64)
        counted[known] = uses[rows[known]]
        yield from _first(
            path, table, known & (table["uses"].to_numpy() != counted), "uses is not how often it is used"
        )
    ids = wanted.faces["face_id"]
    if files.complete and len(lacking := np.flatnonzero((uses > 0) & (held == 0))):
        yield Fault(files.name, f"lack the faces {stored.some(ids.take(lacking))} ({len(lacking):,} in all)")
    if len(twice := np.flatnonzero(held > 1)):
        yield Fault(files.name, f"hold more than once the faces {stored.some(ids.take(twice))} ({len(twice):,} in all)")


def wrong_order(faces: Files, ids: Files, wanted: Wanted) -> Iterator[Fault]:
    """A reader that takes the files in order finds each face in the file of the number that first needs it.

    To be asked of complete files only.
    """
    never = len(ids.read)
    needed = np.full(len(wanted.faces) + 1, never, np.int64)
    for number, (_, table) in enumerate(ids.read):
        np.minimum.at(needed, wanted.rows(table).ravel(), number)
    for number, (path, table) in enumerate(faces.read):
        rows = pc.fill_null(pc.index_in(table["face_id"], wanted.faces["face_id"]), -1).to_numpy()
        late = (rows >= 0) & (needed[rows] < number)
        yield from _first(path, table, late, "an earlier file of triplets needs this face already")


def _uses(wanted: Wanted) -> NDArray[np.int64]:
    rows = wanted.rows(wanted.triplets).ravel()
    return np.bincount(rows[rows >= 0], minlength=len(wanted.faces))


def _first(path: str, table: pa.Table, wrong: NDArray[np.bool_], what: str) -> Iterator[Fault]:
    """The first of the records that are ``wrong`` as a fault, with the number of all."""
    if (count := int(wrong.sum())) > 0:
        row = table.slice(int(np.argmax(wrong)), 1).to_pylist()[0]
        yield Fault(path, f"record {row['record']}, face {row['face_id']}: {what}{_and_more(count)}")


def _and_more(count: int) -> str:
    return f" (and {count - 1:,} more records like it)" if count > 1 else ""


def _lines(lines: NDArray[Any], rows: NDArray[Any]) -> str:
    return f"{stored.some(np.sort(lines[rows]))} ({len(rows):,} in all)"


def _labels(table: pa.Table) -> NDArray[np.int64]:
    return np.stack([table[name].to_numpy() for name in ("odd_one_out", "type", *_VOTES)], axis=1)


def _labels_wanted(triplets: pa.Table) -> NDArray[np.int64]:
    lengths = pc.list_value_length(triplets["votes"]).to_numpy()
    votes = np.clip(pc.list_flatten(triplets["votes"]).to_numpy(), 0, 3).astype(np.int64)
    places = np.repeat(np.arange(len(triplets)), lengths) * 4 + votes
    counts = np.bincount(places, minlength=4 * len(triplets)).reshape(-1, 4)[:, 1:]
    return np.column_stack([triplets["odd_one_out"].to_numpy(), triplets["type"].to_numpy(), counts]).astype(np.int64)


def _keys(faces: int, parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> list[NDArray[np.int64]]:
    """For each part's triplets (rows of faces [n, 3], labels [n, 5]) a number: equal for equal triplets only."""
    triples = [(rows[:, 0] * faces + rows[:, 1]) * faces + rows[:, 2] for rows, _ in parts]
    known = np.unique(np.concatenate(triples))
    keys = []
    for triple, (_, labels) in zip(triples, parts, strict=True):
        # 2 bits for a label and a byte for a count of votes; what does not fit is like no other.
        packed = np.zeros(len(triple), np.int64)
        for column, limit in zip(labels.T, (4, 4, 256, 256, 256), strict=True):
            packed = np.where((column < 0) | (column >= limit) | (packed < 0), -1, packed * limit + column)
        keys.append(np.where(packed < 0, -1, np.searchsorted(known, triple) << 28 | packed))
    return keys
