"""The embeddings of all faces of a root, stored beside the report: those of eval that are measured, and train's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.embedding import Embedded, examples_of, rgb_of
from components.evaluate.report_data import photographs
from fec.embeddings import Embeddings, write_embeddings
from fec.faces_once import read_faces_once
from fec.layout import EVAL, TRAIN
from fec.progress import track
from fec.record_files import RecordFiles
from fec.storage import Storage

Vectors = Mapping[str, NDArray[Any]]


def store_embeddings(
    storage: Storage, run: str, network: Any, measured: Embedded, train: RecordFiles | None, batch_size: int
) -> str:
    """Write ``reports/<run>/embeddings.parquet``: the faces of ``measured``, and those of ``train`` if it is given.

    Returns the SHA-256 of the file in hex.
    """
    vectors: dict[str, Vectors] = {EVAL: measured.embeddings}
    if train is not None:
        vectors[TRAIN] = embeddings_of(storage, train, network, batch_size, measured.embeddings)
    faces = [(split, face) for split, found in vectors.items() for face in found]
    images = {split: photographs(storage, split) for split in vectors}
    return write_embeddings(
        storage,
        run,
        Embeddings(
            [face for _, face in faces],
            [images[split][face] for split, face in faces],
            [split for split, _ in faces],
            np.array([vectors[split][face] for split, face in faces], np.float32).reshape(len(faces), -1),
        ),
    )


def embeddings_of(storage: Storage, files: RecordFiles, network: Any, batch_size: int, known: Vectors) -> Vectors:
    """What ``network`` makes of every face in ``files``, by id; those that are ``known`` are not embedded again.

    Faces are held in full for one batch only. Raises RunFailed, naming it, for a file that is spoiled.
    """
    found: dict[str, NDArray[Any]] = {}
    waiting: dict[str, NDArray[np.uint8]] = {}

    def embed() -> None:
        if waiting:
            vectors = np.asarray(network.predict_on_batch(np.stack(list(waiting.values())).astype(np.float32)))
            found.update(zip(waiting, vectors, strict=True))
            waiting.clear()

    def see(face: str, jpeg: bytes, path: str) -> None:
        if face in known:
            found[face] = known[face]
        else:
            waiting[face] = rgb_of(jpeg, files.image_size, path)
            if len(waiting) == batch_size:
                embed()

    if files.face_paths:
        once = read_faces_once(storage, TRAIN, files, see, "evaluate")
        embed()
        return {face: found[face] for face in once.face_ids}
    with track("evaluate", files.triplets, "triplets of train") as progress:
        for path in files.paths:
            for triplet, example in examples_of(storage, path):
                for place, face in enumerate(triplet.faces):
                    if face not in found and face not in waiting:
                        see(face, example.image(place), path)
                progress.advance()
        embed()
    return found
