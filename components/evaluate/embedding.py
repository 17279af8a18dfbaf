"""The eval records and what a model makes of their faces, each of which it sees once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import Triplet
from fec import layout, records
from fec.errors import RunFailed
from fec.layout import EVAL
from fec.progress import track
from fec.storage import Storage


def read_eval(storage: Storage, count: int) -> tuple[list[Triplet], dict[str, bytes]]:
    """All eval triplets, and the JPEG of each face they use by face id; raises RunFailed for a spoiled file."""
    triplets: list[Triplet] = []
    faces: dict[str, bytes] = {}
    for number in range(count):
        path = layout.record_file(EVAL, number, count)
        with storage.local_copy(path) as local, local.open("rb") as file:
            try:
                for payload in records.read_frames(file):
                    example: Mapping[str, Any] = records.decode_example(payload)
                    ids = tuple(example[name][0].decode() for name in records.IMAGE_IDS)
                    faces |= {face: example[name][0] for face, name in zip(ids, records.IMAGES, strict=True)}
                    triplets.append(
                        Triplet((ids[0], ids[1], ids[2]), example[records.TRIPLET_CODE][0], example[records.TYPE][0])
                    )
            except (records.SpoiledRecord, ValueError, KeyError) as error:
                raise RunFailed(f"{path}: {error}; run the datagen step again") from None
    return triplets, faces


def embed(storage: Storage, run: str, faces: Mapping[str, bytes], batch_size: int) -> dict[str, NDArray[Any]]:
    """The embedding of each face by id, float32 [dimensions]; each face goes through the network once."""
    with storage.local_copy(f"{layout.model_dir(run)}/model.keras") as path:
        network = keras.saving.load_model(path, compile=False)
    ids = sorted(faces)
    embeddings: dict[str, NDArray[Any]] = {}
    with track("evaluate", len(ids), "faces") as progress:
        for start in range(0, len(ids), batch_size):
            chosen = ids[start : start + batch_size]
            batch = np.stack([_rgb(faces[face]) for face in chosen]).astype(np.float32)
            vectors = np.asarray(network.predict_on_batch(batch))
            embeddings |= dict(zip(chosen, vectors, strict=True))
            progress.advance(len(chosen))
    return embeddings


def _rgb(jpeg: bytes) -> NDArray[np.uint8]:
    """A record's face, uint8 [size, size, 3]."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not a readable JPEG")
    return np.ascontiguousarray(pixels[:, :, ::-1])
