"""The evaluation in TensorBoard: scalars beside training's curves, and eval's faces in its projector.

``reports/<run>/logs`` holds an event file, and what the projector reads: vectors, a table of the faces, their pictures.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet
from components.evaluate.measuring import Measured
from fec import layout
from fec.storage import Storage

# Faces in the projector, and the side of each picture: 71 x 71 pictures, of the 8192 pixels that a browser takes.
SHOWN: Final = 5000
SIDE: Final = 48
# What the projector looks for in a folder with events.
_CONFIG: Final = f"""embeddings {{
  tensor_name: "eval faces"
  tensor_path: "embeddings.tsv"
  metadata_path: "metadata.tsv"
  sprite {{
    image_path: "sprite.png"
    single_image_dim: {SIDE}
    single_image_dim: {SIDE}
  }}
}}
"""


def store_logs(
    storage: Storage,
    run: str,
    seen: Measured,
    embeddings: Mapping[str, NDArray[Any]],
    thumbnails: Mapping[str, bytes],
    step: int,
) -> None:
    """Write ``reports/<run>/logs``: what was measured after ``step`` steps, and SHOWN faces, chosen by hash."""
    directory = layout.report_logs_dir(run)
    for entry in list(storage.list(directory)):
        storage.delete(entry.path)
    # Of a run that was killed.
    storage.remove_workspace(directory)
    folder = storage.workspace(directory)
    write_scalars(folder, seen, step)
    faces = sorted(embeddings, key=lambda face: hashlib.sha256(face.encode()).digest())[:SHOWN]
    if faces:
        write_projector(folder, faces, embeddings, thumbnails, seen.triplets, seen.answers)
    for path in sorted(folder.iterdir()):
        storage.write_file(f"{directory}/{path.name}", path)
    storage.remove_workspace(directory)


def write_scalars(folder: Path, seen: Measured, step: int) -> None:
    """An event file with the accuracies and what the embedding is like; what could not be measured is left out."""
    values = {f"eval/accuracy/{name}": score.accuracy for name, score in {**seen.scores, **seen.by_agreement}.items()}
    values |= {f"eval/accuracy_without_shared/{name}": score.accuracy for name, score in seen.without.items()}
    values |= {
        "eval/effective_dimensions": seen.geometry.dimensions,
        "eval/active_triplets": seen.geometry.active,
        **{f"eval/nearest_judged_alike/{near.k}": near.alike for near in seen.geometry.nearest},
    }
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for name, value in values.items():
            if value is not None:
                tf.summary.scalar(name, value, step=step)
    writer.close()


def write_projector(
    folder: Path,
    faces: Sequence[str],
    embeddings: Mapping[str, NDArray[Any]],
    thumbnails: Mapping[str, bytes],
    triplets: Sequence[EvalTriplet],
    answers: Sequence[int],
) -> None:
    """The files of the projector: a line a face in both tables, and its picture at the same place of the sprite."""
    uses, right = Counter[str](), Counter[str]()
    for triplet, answer in zip(triplets, answers, strict=True):
        uses.update(triplet.faces)
        right.update(triplet.faces if answer == triplet.odd_one_out else ())
    rows = [f"{face}\t{uses[face]}\t{right[face] / max(1, uses[face]):.2f}" for face in faces]
    (folder / "metadata.tsv").write_text("\n".join(["face_id\ttriplets\tshare_right", *rows]) + "\n")
    vectors = ["\t".join(f"{value:.6g}" for value in embeddings[face]) for face in faces]
    (folder / "embeddings.tsv").write_text("\n".join(vectors) + "\n")
    columns = math.ceil(math.sqrt(len(faces)))
    sprite = np.zeros((math.ceil(len(faces) / columns) * SIDE, columns * SIDE, 3), np.uint8)
    for number, face in enumerate(faces):
        top, left = (place * SIDE for place in divmod(number, columns))
        sprite[top : top + SIDE, left : left + SIDE] = _picture(thumbnails[face])
    cv2.imwrite(str(folder / "sprite.png"), sprite)
    (folder / "projector_config.pbtxt").write_text(_CONFIG)


def _picture(jpeg: bytes) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.resize(np.asarray(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA))
