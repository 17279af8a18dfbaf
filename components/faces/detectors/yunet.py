"""YuNet (Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector, 2023), run by onnxruntime.

The weights are opencv_zoo's face_detection_yunet_2023mar.onnx (MIT), which lie beside this package.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from components.faces.detectors.found import Found
from components.faces.detectors.onnx_sessions import open_session
from components.faces.detectors.yunet_outputs import OUTPUTS, STRIDES, faces
from components.faces.geometry import reduced
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "face_detection_yunet_2023mar.onnx"
SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

# Pixels of the longer side that the network sees; at this size it found .950 of FER2013's faces in crops.
INPUT_SIDE: Final = 160
# The network halves the picture five times: its sides are padded with black to multiples of this.
_MULTIPLE: Final = STRIDES[-1]
# Below the wanted confidence, so that a doubtful face can be told from none.
SCORE_FLOOR: Final = 0.4

# In the file the input's height and width are 640 (dim_value); as names of the same length any size is taken.
_FIXED: Final = b"\x08\x80\x05"
_FREE: Final = (b"\x12\x01h", b"\x12\x01w")


class YuNet:
    """YuNet on a picture that is scaled to ``side`` pixels.

    INPUT_SIDE is for a face's crop; in a whole photograph small faces need more of them.
    """

    name = "yunet"
    threshold = 0.7
    licence = "MIT"
    input_side = INPUT_SIDE
    milliseconds: float | None = 0.8

    def __init__(self, weights: Path = WEIGHTS, side: int = INPUT_SIDE) -> None:
        try:
            content = weights.read_bytes()
        except OSError:
            raise ConfigurationError(
                f"YuNet's weights are missing ({weights.name}): the installation is broken, install fec again"
            ) from None
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ConfigurationError(f"{weights.name} is not the file of opencv_zoo: install fec again")
        cv2.setNumThreads(1)
        self.input_side = side
        self._network = open_session(any_size(content), threads=1)

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        height, width = rgb.shape[:2]
        scale = self.input_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        right, below = (-length % _MULTIPLE for length in size)
        seen = cv2.copyMakeBorder(reduced(rgb, *size), 0, below, 0, right, cv2.BORDER_CONSTANT)
        # It was trained on BGR; with RGB it finds 5 % fewer faces and says nothing.
        outputs = self._network.run(OUTPUTS, {"input": cv2.dnn.blobFromImage(seen, swapRB=True)})
        return [_found(row, *size) for row in faces(outputs, size[0] + right, SCORE_FLOOR)]


def any_size(graph: bytes) -> bytes:
    """The network of WEIGHTS for pictures of any width and height."""
    for free in _FREE:
        graph = graph.replace(_FIXED, free, 1)
    return graph


def _found(row: NDArray[np.float32], width: int, height: int) -> Found:
    """A row of ``faces``, in a scaled picture of these pixels."""
    left, top, w, h = (float(value) for value in row[:4])
    marks = tuple((float(x) / width, float(y) / height) for x, y in row[4:14].reshape(5, 2))
    box = Box(left / width, (left + w) / width, top / height, (top + h) / height)
    return Found(box, min(1.0, max(0.0, float(row[14]))), marks)
