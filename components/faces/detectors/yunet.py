"""YuNet (Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector, 2023), run by OpenCV.

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
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "face_detection_yunet_2023mar.onnx"
SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

# Pixels of the longer side that the network sees; at this size it found .950 of FER2013's faces in crops.
INPUT_SIDE: Final = 160
# Pixels of the shorter side, reached with black: on one of 32 or fewer OpenCV 4.14's network reads memory that
# nobody wrote, and finds faces in it now and then.
MIN_SIDE: Final = 64
# Below the wanted confidence, so that a doubtful face can be told from none.
SCORE_FLOOR: Final = 0.4
NMS_IOU: Final = 0.3
TOP_K: Final = 50


class YuNet:
    """YuNet on a picture that is scaled to ``side`` pixels, padded only if it is very thin.

    INPUT_SIDE is for a face's crop; in a whole photograph small faces need more of them.
    """

    name = "yunet"
    threshold = 0.7
    licence = "MIT"
    input_side = INPUT_SIDE
    milliseconds: float | None = 1.9

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
        self._network = cv2.FaceDetectorYN.create(str(weights), "", (side, side), SCORE_FLOOR, NMS_IOU, TOP_K)

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        height, width = rgb.shape[:2]
        scale = self.input_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        right, below = max(0, MIN_SIDE - size[0]), max(0, MIN_SIDE - size[1])
        # Its network was trained on BGR; with RGB it finds 5 % fewer faces and says nothing.
        scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        bgr = cv2.copyMakeBorder(cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR), 0, below, 0, right, cv2.BORDER_CONSTANT)
        self._network.setInputSize((size[0] + right, size[1] + below))
        _, rows = self._network.detect(bgr)
        return [] if rows is None else [_found(row, *size) for row in rows]


def _found(row: NDArray[np.float32], width: int, height: int) -> Found:
    """A row of OpenCV's result: x, y, width, height, five landmarks' x and y, score; pixels of the scaled picture."""
    left, top, w, h = (float(value) for value in row[:4])
    marks = tuple((float(x) / width, float(y) / height) for x, y in row[4:14].reshape(5, 2))
    box = Box(left / width, (left + w) / width, top / height, (top + h) / height)
    return Found(box, min(1.0, max(0.0, float(row[14]))), marks)
