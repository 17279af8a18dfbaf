"""The records in memory: each face once, as JPEG, and the triplets as places in the list of faces.

A face is in about ten triplets of FEC, so that half a million triplets of 64 pixels are 0.4 GB here and 3.5 GB on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fec import records
from fec.errors import RunFailed
from fec.progress import track
from fec.record_files import RecordFiles
from fec.storage import Storage


@dataclass(frozen=True)
class Examples:
    """``jpegs`` and ``face_ids`` of the faces; of the n triplets: ``faces`` int32 [n, 3] (places in those), ``labels``
    int32 [n, 5]: the odd one out and the type, both 1..3, and how many votes named a, b and c."""

    jpegs: Sequence[bytes]
    face_ids: Sequence[str]
    faces: NDArray[np.int32]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)


def read_examples(storage: Storage, files: RecordFiles) -> Examples:
    """All triplets of ``files``, in order; RunFailed, naming the file, if one is spoiled."""
    places: dict[str, int] = {}
    jpegs: list[bytes] = []
    faces = np.zeros((files.triplets, 3), np.int32)
    labels = np.zeros((files.triplets, 5), np.int32)
    number = 0
    with track("read", files.triplets, "triplets") as progress:
        for path in files.paths:
            try:
                with storage.local_copy(path) as local, local.open("rb") as file:
                    for payload in records.read_frames(file):
                        example = records.decode_example(payload)
                        for place, (image, face_id) in enumerate(zip(records.IMAGES, records.IMAGE_IDS, strict=True)):
                            name = str(example[face_id][0], "utf-8")  # type: ignore[arg-type]
                            if name not in places:
                                places[name] = len(jpegs)
                                jpegs.append(bytes(example[image][0]))  # type: ignore[arg-type]
                            faces[number, place] = places[name]
                        votes = example[records.RATING_ALL]
                        counted = [votes.count(face) for face in (1, 2, 3)]  # type: ignore[arg-type]
                        labels[number] = [example[records.TRIPLET_CODE][0], example[records.TYPE][0], *counted]
                        number += 1
                        progress.advance()
            except (records.SpoiledRecord, ValueError, KeyError, IndexError, TypeError) as error:
                raise RunFailed(f"{path}: {error}; delete it and run the datagen step again") from None
    if number != files.triplets:
        raise RunFailed(f"the records hold {number:,} triplets, not the {files.triplets:,} of their markers")
    return Examples(jpegs, list(places), faces, labels)
