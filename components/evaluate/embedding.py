"""The eval records and what a model makes of their faces, each of which it sees once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet
from fec import layout, records
from fec.errors import RunFailed
from fec.faces_once import FacesOnce, opened, read_faces_once
from fec.layout import EVAL
from fec.progress import track
from fec.record_files import RecordFiles
from fec.records import TripletReader
from fec.storage import Storage

# The side to which faces are made small for comparing their pixels alone.
PIXELS: Final = 16
# Three kilobytes a face.
THUMBNAIL: Final = 88


@dataclass(frozen=True)
class Embedded:
    """All triplets of a split, and by face id what is compared: embeddings, and PIXELS x PIXELS RGB values in a row;
    and small JPEGs of the faces, to be shown."""

    triplets: list[EvalTriplet]
    embeddings: dict[str, NDArray[Any]]
    pixels: dict[str, NDArray[np.uint8]]
    thumbnails: dict[str, bytes]

    def ordered(self, triplets: list[EvalTriplet], faces: Sequence[str]) -> Embedded:
        """The same of ``triplets``, with ``faces``, which are all there are, in that order."""
        return Embedded(
            triplets,
            {face: self.embeddings[face] for face in faces},
            {face: self.pixels[face] for face in faces},
            {face: self.thumbnails[face] for face in faces},
        )


def load_network(storage: Storage, run: str) -> Any:
    """The trained network of ``run``: float 0..255 RGB [batch, size, size, 3] in, unit vectors out."""
    with storage.local_copy(f"{layout.model_dir(run)}/model.keras") as path:
        return keras.saving.load_model(path, compile=False)


def embedded(storage: Storage, files: RecordFiles, network: Any, batch_size: int) -> Embedded:
    """What ``network`` makes of the faces in ``files``.

    A face goes through the network once, however many triplets use it, ``batch_size`` faces at a time; no
    more of them than that are held in full. Raises RunFailed, naming it, for a file that is spoiled.
    """
    found = Embedded([], {}, {}, {})
    waiting: dict[str, NDArray[np.uint8]] = {}

    def embed() -> None:
        if waiting:
            vectors = np.asarray(network.predict_on_batch(np.stack(list(waiting.values())).astype(np.float32)))
            found.embeddings.update(zip(waiting, vectors, strict=True))
            waiting.clear()

    def see(face: str, jpeg: bytes, path: str) -> None:
        waiting[face] = rgb = rgb_of(jpeg, files.image_size, path)
        small = cv2.resize(rgb, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA)
        found.pixels[face] = small.astype(np.uint8).ravel()
        found.thumbnails[face] = thumbnail(jpeg, rgb)
        if len(waiting) == batch_size:
            embed()

    if files.face_paths:
        once = read_faces_once(storage, EVAL, files, see, "evaluate")
        embed()
        return found.ordered(_triplets(once), once.face_ids)
    with track("evaluate", files.triplets, "triplets") as progress:
        for path in files.paths:
            for triplet, example in examples_of(storage, path):
                found.triplets.append(triplet)
                for place, face in enumerate(triplet.faces):
                    if face not in found.pixels:
                        see(face, example.image(place), path)
                progress.advance()
        embed()
    return found


def _triplets(once: FacesOnce) -> list[EvalTriplet]:
    ids = once.face_ids
    return [
        EvalTriplet((ids[a], ids[b], ids[c]), odd, kind, (1,) * first + (2,) * second + (3,) * third)
        for (a, b, c), (odd, kind, first, second, third) in zip(once.faces.tolist(), once.labels.tolist(), strict=True)
    ]


def thumbnail(jpeg: bytes, rgb: NDArray[np.uint8]) -> bytes:
    """A JPEG of at most THUMBNAIL pixels a side: ``jpeg`` itself, or ``rgb``, its pixels, made small."""
    if max(rgb.shape[:2]) <= THUMBNAIL:
        return jpeg
    scale = THUMBNAIL / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def examples_of(storage: Storage, path: str) -> Iterator[tuple[EvalTriplet, TripletReader]]:
    """Every triplet of a record file, and the record that has its faces: most are known by then, and left in there.

    Raises RunFailed, naming the file, for one that is spoiled.
    """
    with opened(storage, path) as file:
        for payload in records.read_frames(file):
            record = TripletReader(payload)
            yield EvalTriplet(record.face_ids(), record.odd_one_out(), record.type(), record.votes()), record


def rgb_of(jpeg: bytes, image_size: int, path: str) -> NDArray[np.uint8]:
    """A face of the record file at ``path``, uint8 [size, size, 3]."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
    if pixels is None or pixels.shape != (image_size, image_size, 3):
        raise RunFailed(
            f"{path}: a face that is no JPEG of {image_size} pixels; delete it and run the datagen step again"
        )
    return np.asarray(pixels, np.uint8)
