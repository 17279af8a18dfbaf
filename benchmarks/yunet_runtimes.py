"""YuNet's network by OpenCV and by onnxruntime, on one core: python benchmarks/yunet_runtimes.py.

The same input of 160 x 160 pixels in turn; prints the CPU time of each and how far their outputs
are apart. What is done around the network (boxes of the outputs, suppression) is timed with it: by OpenCV's detector,
and by ours, which also scales the crop.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.face_sets import FACES, photograph
from components.faces.detectors.onnx_sessions import open_session
from components.faces.detectors.yunet import INPUT_SIDE, WEIGHTS, YuNet, any_size
from components.faces.detectors.yunet_outputs import OUTPUTS
from components.faces.geometry import crop_place, cut
from fec.boxes import Box

WHOLE: Final = Box(0.0, 1.0, 0.0, 1.0)
ROUNDS: Final = 40
CALLS: Final = 10


def milliseconds(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median CPU time of a call of each, all of them in turn."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, call in work.items():
            start = time.process_time()
            for _ in range(CALLS):
                call()
            taken[name].append(1000 * (time.process_time() - start) / CALLS)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    cv2.setNumThreads(1)
    rgb = photograph("astronaut")
    crop = cut(rgb, crop_place(FACES["astronaut"], 0.15, "box", rgb.shape[1], rgb.shape[0]))
    bgr = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), (INPUT_SIDE, INPUT_SIDE))
    blob = cv2.dnn.blobFromImage(bgr)
    other = open_session(any_size(WEIGHTS.read_bytes()), threads=1)
    ours = YuNet()
    network = cv2.dnn.readNet(str(WEIGHTS))
    detector = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (INPUT_SIDE, INPUT_SIDE), 0.4, 0.3, 50)

    def by_opencv() -> Any:
        network.setInput(blob)
        return network.forward(OUTPUTS)

    apart = [
        float(np.abs(np.ravel(some) - np.ravel(others)).max())
        for some, others in zip(by_opencv(), other.run(OUTPUTS, {"input": blob}), strict=True)
    ]
    print(f"outputs differ by {max(apart):.1e} at the most")
    found = milliseconds(
        {
            "OpenCV's detector": lambda: detector.detect(bgr),
            "OpenCV, the network alone": by_opencv,
            "ours": lambda: ours.find(crop, WHOLE),
            "onnxruntime, the network alone": lambda: other.run(OUTPUTS, {"input": blob}),
        }
    )
    for name, value in found.items():
        print(f"  {name:32}{value:6.2f} ms, {value / found['OpenCV, the network alone']:.2f} of OpenCV's network")


if __name__ == "__main__":
    main()
