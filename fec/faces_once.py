"""A split read from records in which each face lies once (``fec.face_records``): its triplets in the order of collect.

In the records they have an order of their own, by which triplets that share faces follow one another. What they are is
held against the table of collect, which has their order.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.errors import RunFailed
from fec.face_records import IdTripletExample, read_faces, read_id_triplets
from fec.progress import track
from fec.record_files import RecordFiles
from fec.records import SpoiledRecord
from fec.rows import FACE_COLUMNS
from fec.storage import Storage

_COLUMNS: Final = (*FACE_COLUMNS, "odd_one_out", "type", "votes")
# Rows that are Python objects at a time.
_ROWS: Final = 8_192
_SPOILED: Final = (SpoiledRecord, ValueError, KeyError, IndexError, TypeError, OverflowError)


@dataclass(frozen=True)
class FacesOnce:
    """``face_ids`` in the order in which the triplets name them, and as the how manieth each was read; of the n
    triplets, in the order of collect: ``faces`` int32 [n, 3] (places in ``face_ids``), ``labels`` int32 [n, 5]: the odd
    one out and the type, both 1..3, and how many votes named a, b and c."""

    face_ids: Sequence[str]
    read_as: Sequence[int]
    faces: NDArray[np.int32]
    labels: NDArray[np.int32]


def read_faces_once(
    storage: Storage, split: str, files: RecordFiles, keep: Callable[[str, bytes, str], None], task: str = "read"
) -> FacesOnce:
    """The triplets of ``files``; ``keep`` gets the id and the JPEG of each face as it is read, and its file's path.

    Raises RunFailed, naming it, for a file that is spoiled, or where these are not the triplets of collect. In memory
    are 48 bytes a triplet, and the faces' ids, never a face.
    """
    places: dict[str, int] = {}
    seen = np.zeros(files.triplets, np.int64)
    number = 0
    with track(task, files.triplets, f"triplets of {split}") as progress:
        for faces_path, path in zip(files.face_paths, files.paths, strict=True):
            for name, jpeg in _faces(storage, faces_path):
                if name in places:
                    raise _spoiled(faces_path, f"the face {name!r} lies there twice")
                places[name] = len(places)
                keep(name, jpeg, faces_path)
            for triplet in _id_triplets(storage, path):
                if number == files.triplets or not all(name in places for name in triplet.face_ids):
                    raise _spoiled(path, "a triplet too many, or with a face that no file of faces up to it holds")
                three = (places[name] for name in triplet.face_ids)
                seen[number] = hash((*three, triplet.odd_one_out, triplet.type, *triplet.votes))
                number += 1
                progress.advance()
    if number != files.triplets:
        raise RunFailed(f"the records hold {number:,} triplets, not the {files.triplets:,} of their markers")
    names = list(places)
    del places
    return _ordered(storage, split, files, names, seen)


@contextmanager
def opened(storage: Storage, path: str) -> Iterator[BinaryIO]:
    """The record file; RunFailed that names it if what is read in the context is spoiled."""
    try:
        with storage.local_copy(path) as local, local.open("rb") as file:
            yield file
    except _SPOILED as error:
        raise _spoiled(path, error) from None


def _faces(storage: Storage, path: str) -> Iterator[tuple[str, bytes]]:
    with opened(storage, path) as file:
        yield from read_faces(file)


def _id_triplets(storage: Storage, path: str) -> Iterator[IdTripletExample]:
    with opened(storage, path) as file:
        yield from read_id_triplets(file)


def _spoiled(path: str, what: object) -> RunFailed:
    return RunFailed(f"{path}: {what}; delete it and run the datagen step again")


def _ordered(
    storage: Storage, split: str, files: RecordFiles, names: Sequence[str], seen: NDArray[np.int64]
) -> FacesOnce:
    """As collect has them; RunFailed if these are not the triplets ``seen``, of which each is a hash."""
    table = f"{layout.collect_dir(split)}/triplets.parquet"
    others = RunFailed(
        f"the triplets of {files.paths[0]} and the others are not those of {table}; delete them and run the datagen "
        "step again"
    )
    wanted = np.zeros(files.triplets, np.int64)
    faces = np.zeros((files.triplets, 3), np.int32)
    labels = np.zeros((files.triplets, 5), np.int32)
    place_of, read_as = np.full(len(names), -1, np.int32), array("i")
    number = 0
    for rows in _collected(storage, table, names):
        here = slice(number, number + len(rows))
        number = here.stop
        if number > files.triplets or rows[:, :3].min() < 0:
            raise others
        wanted[here] = [hash(tuple(row)) for row in rows.tolist()]
        named, first = np.unique(rows[:, :3], return_index=True)
        new = named[np.argsort(first)]
        new = new[place_of[new] < 0]
        place_of[new] = np.arange(len(read_as), len(read_as) + len(new))
        read_as.extend(new.tolist())
        faces[here], labels[here] = place_of[rows[:, :3]], rows[:, 3:]
    seen.sort()
    wanted.sort()
    if not np.array_equal(seen, wanted):
        raise others
    return FacesOnce([names[face] for face in read_as], read_as, faces, labels)


def _collected(storage: Storage, path: str, face_ids: Sequence[str]) -> Iterator[NDArray[np.int32]]:
    """What the table says of the triplets, some at a time, int32 [.., 8]: the numbers of a triplet's faces in
    ``face_ids``, -1 for one that is not there, and its labels."""
    known = pa.array(face_ids, pa.string())
    try:
        for batch in tables.read_batches(storage, path, _COLUMNS):
            for start in range(0, len(batch), _ROWS):
                yield _numbers(batch.slice(start, _ROWS), known)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunFailed(
            f"{path} cannot be read ({type(error).__name__}), which says in which order the triplets are: run the "
            "collect step again"
        ) from None


def _numbers(batch: pa.RecordBatch, known: pa.Array) -> NDArray[np.int32]:
    rows = np.zeros((len(batch), 8), np.int32)
    for place, name in enumerate(FACE_COLUMNS):
        rows[:, place] = pc.index_in(batch[name], value_set=known).fill_null(-1).to_numpy()
    rows[:, 3], rows[:, 4] = batch["odd_one_out"].to_numpy(), batch["type"].to_numpy()
    lengths = pc.list_value_length(batch["votes"]).to_numpy()
    votes, of = batch["votes"].flatten().to_numpy(), np.repeat(np.arange(len(batch)), lengths)
    for face in (1, 2, 3):
        rows[:, 4 + face] = np.bincount(of[votes == face], minlength=len(batch))
    return rows
