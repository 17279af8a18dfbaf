"""The records: each face once, in a file, and in memory the triplets as places in the list of faces.

A face is in about ten triplets of FEC, so that of half a million triplets of 64 pixels 0.4 GB are faces, and 3.5 GB
are records in which each triplet holds its own. Order of triplets and faces is the same, whichever layout is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.train.face_file import FaceFile, Jpegs
from fec.errors import RunFailed
from fec.faces_once import opened, read_faces_once
from fec.layout import TRAIN
from fec.progress import event, track
from fec.record_files import RecordFiles
from fec.records import TripletReader, read_frames
from fec.storage import Storage


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


def read_examples(
    storage: Storage, files: RecordFiles, folder: Path | None = None, heed: Callable[[], None] = lambda: None
) -> Examples:
    """All triplets of ``files``, their faces kept in a file in ``folder`` (None: where temporary files are).

    ``heed`` is called at every face, and may raise. Raises RunFailed, naming it, if a file is spoiled.
    """
    if files.face_paths:
        event("records", "reads each face once, and triplets that name their faces")
        return _with_faces_apart(storage, files, folder, heed)
    event("records", "reads triplets that hold their faces")
    return _with_faces_inside(storage, files, folder, heed)


def _with_faces_inside(storage: Storage, files: RecordFiles, folder: Path | None, heed: Callable[[], None]) -> Examples:
    places: dict[str, int] = {}
    jpegs = FaceFile(folder)
    faces = np.zeros((files.triplets, 3), np.int32)
    labels = np.zeros((files.triplets, 5), np.int32)
    number = 0
    with track("read", files.triplets, "triplets") as progress:
        for path in files.paths:
            with opened(storage, path) as file:
                for example in map(TripletReader, read_frames(file)):
                    for place, name in enumerate(example.face_ids()):
                        if name not in places:
                            heed()
                            places[name] = len(jpegs)
                            jpegs.append(_there(example.image(place), name))
                        faces[number, place] = places[name]
                    votes = example.votes()
                    counted = [votes.count(face) for face in (1, 2, 3)]
                    labels[number] = [example.odd_one_out(), example.type(), *counted]
                    number += 1
                    progress.advance()
    if number != files.triplets:
        raise RunFailed(f"the records hold {number:,} triplets, not the {files.triplets:,} of their markers")
    return Examples(jpegs, list(places), faces, labels)


def _with_faces_apart(storage: Storage, files: RecordFiles, folder: Path | None, heed: Callable[[], None]) -> Examples:
    jpegs = FaceFile(folder)

    def keep(name: str, jpeg: bytes, path: str) -> None:
        heed()
        jpegs.append(jpeg)

    found = read_faces_once(storage, TRAIN, files, keep)
    jpegs.renumber(found.read_as)
    return Examples(jpegs, found.face_ids, found.faces, found.labels)


def _there(jpeg: bytes, name: str) -> bytes:
    if not jpeg:
        raise ValueError(f"a triplet without its face {name}")
    return jpeg
