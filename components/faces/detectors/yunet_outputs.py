"""What YuNet's network says of a picture, as faces: what OpenCV's FaceDetectorYN makes of its outputs.

After OpenCV's modules/objdetect/src/face_detect.cpp (Apache-2.0), against which a test holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Pixels of the picture between two places at which the network looks, for small, middle and large faces.
STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = tuple(f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
"""The outputs that ``faces`` takes, in its order: of each place whether a face is there, how well its box fits, the
box and the landmarks; each [1, places, 1, 1, 4 or 10]."""

NMS_IOU: Final = 0.3
TOP_K: Final = 50


def faces(outputs: Sequence[Floats], width: int, floor: float) -> Floats:
    """[n, 15]: x, y, width, height, five landmarks' x and y, score; pixels of the picture that the network saw.

    ``width`` is that picture's. Those of a score of ``floor`` or more, the surest first, without those that overlap a
    surer one by more than NMS_IOU.
    """
    face, fit, box, marks = (
        np.concatenate([output[0] for output in outputs[start : start + len(STRIDES)]])
        for start in range(0, len(OUTPUTS), len(STRIDES))
    )
    score = np.sqrt(np.clip(face, 0, 1) * np.clip(fit, 0, 1))[:, 0]
    at = np.flatnonzero(score >= floor)
    if not len(at):
        return np.empty((0, 15), np.float32)
    ends = np.cumsum([output.shape[1] for output in outputs[: len(STRIDES)]])
    grid = np.searchsorted(ends, at, side="right")
    stride = np.array(STRIDES)[grid]
    number = at - np.concatenate([[0], ends])[grid]
    place = np.stack([number % (width // stride), number // (width // stride)], axis=1).astype(np.float32)
    rows = _rows(place, box[at], marks[at], score[at], stride[:, np.newaxis].astype(np.float32))
    # In whole pixels, as OpenCV's detector compares them.
    boxes = rows[:, :4].astype(np.int32).tolist()
    kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), floor, NMS_IOU, eta=1.0, top_k=TOP_K)
    return np.asarray(rows[np.ravel(kept)], np.float32)


def _rows(place: Floats, box: Floats, marks: Floats, score: Floats, stride: Floats) -> Floats:
    """The faces at each ``place`` (column and row) of a grid of ``stride`` pixels [n, 1]."""
    size = np.exp(box[:, 2:]) * stride
    corner = (place + box[:, :2]) * stride - size / 2
    points = (marks.reshape(-1, 5, 2) + place[:, np.newaxis]) * stride[:, np.newaxis]
    return np.concatenate([corner, size, points.reshape(-1, 10), score[:, np.newaxis]], axis=1, dtype=np.float32)
