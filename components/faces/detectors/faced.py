"""The published recipe's detector, faced (github.com/iitzco/faced, MIT), from the weights a user brings.

Its own code calls TensorFlow 1 and fails with today's numpy, so this is a reading of what it computes, run
through ``tensorflow.compat.v1``. ``face_corrector.pb`` has been run; ``face_yolo.pb`` could not be obtained,
so what is done around it has been tested with a stand-in network only. PyPI's ``faced`` is something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from components.faces.detectors.found import Found
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB

# Git blob ids of the two files in the detector's repository (`git hash-object`).
BLOB_IDS: Final = {
    "face_yolo.pb": "7586637ac46058466f8e3f3f520dc31d6af22dce",
    "face_corrector.pb": "55df359e78b32f83cdc0daa0a12dc2048055d157",
}
SOURCE: Final = "https://github.com/iitzco/faced/tree/master/faced/models"

GRID: Final = 9
INPUT_SIDE: Final = 288
CORRECTOR_SIDE: Final = 50
# Added on every side of a proposal, in its own width and height, before it is corrected.
CORRECTOR_MARGIN: Final = 0.5
NMS_IOU: Final = 0.2
# Below the wanted confidence, so that a doubtful face can be told from none. faced itself has only one
# threshold, 0.85 by default and 0.7 in the recipe.
SCORE_FLOOR: Final = 0.4


def load(folder: str) -> Faced:
    """The detector with the weights in ``folder``; raises ConfigurationError if they are not there or others."""
    if not folder:
        raise ConfigurationError(f"detector 'faced' needs --detector-weights, a folder with the two files of {SOURCE}")
    return Faced(*(_checked(Path(folder).expanduser() / name, blob) for name, blob in BLOB_IDS.items()))


def _checked(file: Path, blob: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"detector 'faced': {file} cannot be read ({error.strerror}); fetch it from {SOURCE}, or use yunet"
        ) from None
    found = git_blob_id(content)
    if found != blob:
        raise ConfigurationError(
            f"detector 'faced': {file} is not the published file (git blob {found}, expected {blob}); "
            f"fetch it from {SOURCE}, or use yunet"
        )
    return content


def git_blob_id(content: bytes) -> str:
    """What ``git hash-object`` says of ``content``."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Faced:
    """Two networks, as frozen graphs: one proposes faces on a grid, the other corrects each proposal."""

    name = "faced"
    threshold = 0.7
    licence = "MIT"
    input_side = INPUT_SIDE
    milliseconds: float | None = None  # its first network was never run by us

    def __init__(self, proposer: bytes, corrector: bytes) -> None:
        self._propose = _network(proposer, ("prob", "x_center", "y_center", "w", "h"))
        self._correct = _network(corrector, ("X", "Y", "W", "H"))

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        scaled = cv2.resize(rgb, (INPUT_SIDE, INPUT_SIDE)) / 255.0
        found = proposals(*self._propose(scaled), floor=SCORE_FLOOR)
        return suppressed([self._corrected(rgb, face) for face in found])

    def _corrected(self, rgb: RGB, face: Found) -> Found:
        height, width = rgb.shape[:2]
        place = face.box.expanded(2 * CORRECTOR_MARGIN).pixels(width, height)
        if min(place.width, place.height) < 1:
            return face
        # The corrector was called with red and blue exchanged; its answers are only known for that.
        patch = cv2.cvtColor(rgb[place.top : place.bottom, place.left : place.right].copy(), cv2.COLOR_RGB2BGR)
        scaled = cv2.resize(patch, (CORRECTOR_SIDE, CORRECTOR_SIDE)) / 255.0
        x, y, w, h = (float(np.ravel(value)[0]) for value in self._correct(scaled))
        box = Box(
            (place.left + (x - w / 2) * place.width) / width,
            (place.left + (x + w / 2) * place.width) / width,
            (place.top + (y - h / 2) * place.height) / height,
            (place.top + (y + h / 2) * place.height) / height,
        )
        return Found(box, face.confidence)


def proposals(
    probability: NDArray[Any], x: NDArray[Any], y: NDArray[Any], w: NDArray[Any], h: NDArray[Any], *, floor: float
) -> list[Found]:
    """The cells of the grid whose ``probability`` passes ``floor``, as faces.

    All arrays hold GRID x GRID values, the first axis being the *column*: ``x`` and ``y`` are the centre
    within the cell, ``w`` and ``h`` the size as a fraction of the whole picture.
    """
    found = []
    probability, x, y, w, h = (np.reshape(values, (GRID, GRID)) for values in (probability, x, y, w, h))
    for column, row in zip(*np.nonzero(probability > floor), strict=True):
        cell = column, row
        centre_x, centre_y = (column + x[cell]) / GRID, (row + y[cell]) / GRID
        box = Box(
            float(centre_x - w[cell] / 2),
            float(centre_x + w[cell] / 2),
            float(centre_y - h[cell] / 2),
            float(centre_y + h[cell] / 2),
        )
        found.append(Found(box, float(probability[cell])))
    return found


def suppressed(found: Sequence[Found]) -> list[Found]:
    """Without those that overlap a more confident one by more than NMS_IOU."""
    kept: list[Found] = []
    for face in sorted(found, key=lambda face: (-face.confidence, face.box)):
        if all(face.box.overlap(other.box) <= NMS_IOU for other in kept):
            kept.append(face)
    return kept


def _network(graph: bytes, outputs: Sequence[str]) -> Any:
    """A function from one picture (height, width, 3; 0..1) to the arrays of ``outputs``."""
    try:
        import tensorflow.compat.v1 as tf
    except ImportError:
        raise ConfigurationError("detector 'faced' needs TensorFlow: pip install 'fec[train]', or use yunet") from None
    definition = tf.GraphDef()
    definition.ParseFromString(graph)
    one_thread = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    session = tf.Session(graph=tf.Graph(), config=one_thread)
    with session.graph.as_default():
        tf.import_graph_def(definition, name="")
    fetches = [f"{name}:0" for name in outputs]
    return lambda picture: session.run(fetches, {"img:0": picture[np.newaxis], "training:0": False})
