"""YuNet's network by OpenCV and by onnxruntime, on one core: python benchmarks/yunet_runtimes.py (with fec[export]).

The same input of 160 x 160 pixels in turn; prints the CPU time of each and how far their outputs
are apart. What OpenCV's detector does around the network (boxes of the outputs, suppression) is timed with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime

from benchmarks.face_sets import FACES, photograph
from components.faces.detectors.yunet import INPUT_SIDE, WEIGHTS
from components.faces.geometry import crop_place, cut

# In the file the input's height and width are 640 (dim_value); as names of the same length any size is taken.
_FIXED: Final = b"\x08\x80\x05"
_FREE: Final = (b"\x12\x01h", b"\x12\x01w")
ROUNDS: Final = 40
CALLS: Final = 10


def session() -> Any:
    """YuNet in onnxruntime, one thread, for pictures of any size."""
    graph = WEIGHTS.read_bytes()
    for free in _FREE:
        graph = graph.replace(_FIXED, free, 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns that outputs are of other sizes than the file says
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


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
    other = session()
    names = [output.name for output in other.get_outputs()]
    network = cv2.dnn.readNet(str(WEIGHTS))
    detector = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (INPUT_SIDE, INPUT_SIDE), 0.4, 0.3, 50)

    def by_opencv() -> Any:
        network.setInput(blob)
        return network.forward(names)

    apart = [
        float(np.abs(np.ravel(ours) - np.ravel(theirs)).max())
        for ours, theirs in zip(by_opencv(), other.run(None, {"input": blob}), strict=True)
    ]
    print(f"outputs differ by {max(apart):.1e} at the most")
    found = milliseconds(
        {
            "OpenCV's detector": lambda: detector.detect(bgr),
            "OpenCV, the network alone": by_opencv,
            "onnxruntime, the network alone": lambda: other.run(None, {"input": blob}),
        }
    )
    for name, value in found.items():
        print(f"  {name:32}{value:6.2f} ms, {value / found['OpenCV, the network alone']:.2f} of OpenCV's network")


if __name__ == "__main__":
    main()
