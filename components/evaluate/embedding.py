"""The eval records and what a model makes of their faces, each of which it sees once."""

from __future__ import annotations

import os
from collections.abc import Iterator
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

    with track("evaluate", files.triplets, "triplets") as progress:
        for path in files.paths:
            for triplet, example in examples_of(storage, path):
                found.triplets.append(triplet)
                for place, face in enumerate(triplet.faces):
                    if face not in found.pixels:
                        jpeg = example.image(place)
                        waiting[face] = rgb = rgb_of(jpeg, files.image_size, path)
                        small = cv2.resize(rgb, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA)
                        found.pixels[face] = small.astype(np.uint8).ravel()
                        found.thumbnails[face] = thumbnail(jpeg, rgb)
                        if len(waiting) == batch_size:
                            embed()
                progress.advance()
        embed()
    return found


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
    with storage.local_copy(path) as local, local.open("rb") as file:
        try:
            for payload in records.read_frames(file):
                record = TripletReader(payload)
                triplet = EvalTriplet(record.face_ids(), record.odd_one_out(), record.type(), record.votes())
                yield triplet, record
        except (records.SpoiledRecord, ValueError) as error:
            raise RunFailed(f"{path}: {error}; delete it and run the datagen step again") from None


def rgb_of(jpeg: bytes, image_size: int, path: str) -> NDArray[np.uint8]:
    """A record's face, uint8 [size, size, 3]."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
    if pixels is None or pixels.shape != (image_size, image_size, 3):
        raise RunFailed(
            f"{path}: a face that is no JPEG of {image_size} pixels; delete it and run the datagen step again"
        )
    return np.asarray(pixels, np.uint8)
