"""The records: each face once, in a file, and in memory the triplets as places in the list of faces.

A face is in about ten triplets of FEC, so that of half a million triplets of 64 pixels 0.4 GB are faces, and 3.5 GB
are records in which each triplet holds its own. Order of triplets and faces is the same, whichever layout is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.train.face_file import FaceFile, Jpegs
from fec import layout, tables
from fec.errors import RunFailed
from fec.face_records import read_faces, read_id_triplets
from fec.layout import TRAIN
from fec.progress import track
from fec.record_files import RecordFiles
from fec.records import SpoiledRecord, TripletReader, read_frames
from fec.rows import FACE_COLUMNS
from fec.storage import Storage

_COLUMNS: Final = (*FACE_COLUMNS, "odd_one_out", "type", "votes")
# Rows that are Python objects at a time.
_ROWS: Final = 8_192
_SPOILED: Final = (SpoiledRecord, ValueError, KeyError, IndexError, TypeError, OverflowError)


@dataclass(frozen=True)
class Examples:
    """``jpegs`` and ``face_ids`` of the faces, in the order in which the triplets name them; of the n triplets, in
    the order of collect: ``faces`` int32 [n, 3] (places in those), ``labels`` int32 [n, 5]: the odd one out and the
    type, both 1..3, and how many votes named a, b and c."""

    jpegs: Jpegs
    face_ids: Sequence[str]
    faces: NDArray[np.int32]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)


def read_examples(storage: Storage, files: RecordFiles, folder: Path | None = None) -> Examples:
    """All triplets of ``files``, their faces kept in a file in ``folder`` (None: where temporary files are).

    Raises RunFailed, naming it, if a file is spoiled.
    """
    return _with_faces_apart(storage, files, folder) if files.face_paths else _with_faces_inside(storage, files, folder)


def _with_faces_inside(storage: Storage, files: RecordFiles, folder: Path | None) -> Examples:
    places: dict[str, int] = {}
    jpegs = FaceFile(folder)
    faces = np.zeros((files.triplets, 3), np.int32)
    labels = np.zeros((files.triplets, 5), np.int32)
    number = 0
    with track("read", files.triplets, "triplets") as progress:
        for path in files.paths:
            with _opened(storage, path) as file:
                for example in map(TripletReader, read_frames(file)):
                    for place, name in enumerate(example.face_ids()):
                        if name not in places:
                            places[name] = len(jpegs)
                            jpegs.append(_there(example.image(place), name))
                        faces[number, place] = places[name]
                    votes = example.votes()
                    counted = [votes.count(face) for face in (1, 2, 3)]
                    labels[number] = [example.odd_one_out(), example.type(), *counted]
                    number += 1
                    progress.advance()
    _all_there(number, files)
    return Examples(jpegs, list(places), faces, labels)


def _with_faces_apart(storage: Storage, files: RecordFiles, folder: Path | None) -> Examples:
    """In these files triplets stand in an order of their own; what they are, and in which order, collect says too."""
    places: dict[str, int] = {}
    jpegs = FaceFile(folder)
    of_records = np.zeros(files.triplets, np.int64)
    number = 0
    with track("read", files.triplets, "triplets") as progress:
        for faces_path, path in zip(files.face_paths, files.paths, strict=True):
            with _opened(storage, faces_path) as file:
                for name, jpeg in read_faces(file):
                    places[name] = len(jpegs)
                    jpegs.append(jpeg)
            with _opened(storage, path) as file:
                for triplet in read_id_triplets(file):
                    three = (_known(places, name) for name in triplet.face_ids)
                    of_records[number] = hash((*three, triplet.odd_one_out, triplet.type, *triplet.votes))
                    number += 1
                    progress.advance()
    _all_there(number, files)
    names = list(places)
    del places
    of_collect = np.zeros(files.triplets, np.int64)
    faces = np.zeros((files.triplets, 3), np.int32)
    labels = np.zeros((files.triplets, 5), np.int32)
    place_of, used = np.full(len(names), -1, np.int32), array("i")
    number = 0
    for rows in _collected(storage, names):
        here = slice(number, number + len(rows))
        number = here.stop
        if number > files.triplets or rows[:, :3].min() < 0:
            raise _of_another_collection(files)
        of_collect[here] = [hash(tuple(row)) for row in rows.tolist()]
        named, first = np.unique(rows[:, :3], return_index=True)
        new = named[np.argsort(first)]
        new = new[place_of[new] < 0]
        place_of[new] = np.arange(len(used), len(used) + len(new))
        used.extend(new.tolist())
        faces[here], labels[here] = place_of[rows[:, :3]], rows[:, 3:]
    of_records.sort()
    of_collect.sort()
    if len(names) != len(jpegs) or not np.array_equal(of_records, of_collect):
        raise _of_another_collection(files)
    jpegs.renumber(used)
    return Examples(jpegs, [names[face] for face in used], faces, labels)


def _collected(storage: Storage, face_ids: Sequence[str]) -> Iterator[NDArray[np.int32]]:
    """What collect says of the triplets, some at a time, int32 [.., 8]: the numbers of a triplet's faces in
    ``face_ids``, -1 for one that is not there, and its labels."""
    path = f"{layout.collect_dir(TRAIN)}/triplets.parquet"
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


def _of_another_collection(files: RecordFiles) -> RunFailed:
    return RunFailed(
        f"the triplets of {files.paths[0]} and the others are not those of {layout.collect_dir(TRAIN)}/"
        "triplets.parquet; delete them and run the datagen step again"
    )


@contextmanager
def _opened(storage: Storage, path: str) -> Iterator[BinaryIO]:
    """The record file; RunFailed that names it if what is read in the context is spoiled."""
    try:
        with storage.local_copy(path) as local, local.open("rb") as file:
            yield file
    except _SPOILED as error:
        raise RunFailed(f"{path}: {error}; delete it and run the datagen step again") from None


def _there(jpeg: bytes, name: str) -> bytes:
    if not jpeg:
        raise ValueError(f"a triplet without its face {name}")
    return jpeg


def _known(places: Mapping[str, int], name: str) -> int:
    if name not in places:
        raise ValueError(f"a triplet names the face {name!r}, which no file of faces up to it holds")
    return places[name]


def _all_there(number: int, files: RecordFiles) -> None:
    if number != files.triplets:
        raise RunFailed(f"the records hold {number:,} triplets, not the {files.triplets:,} of their markers")
