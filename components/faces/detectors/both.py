"""Two detectors that must agree."""

from __future__ import annotations

from typing import Final

from components.faces.detectors.found import Detector, Found
from fec.boxes import Box
from fec.pixels import RGB

# Intersection over union from which two detectors mean the same face; they differ in how much hair and chin they take.
SAME_FACE: Final = 0.3


class Both:
    """Finds what both find: the first one's box and landmarks, the lower of the two confidences."""

    def __init__(self, first: Detector, second: Detector) -> None:
        self._first, self._second = first, second
        self.name = f"{first.name}+{second.name}"
        self.threshold = max(first.threshold, second.threshold)
        self.licence = f"{first.licence}; {second.licence}"
        self.input_side = max(first.input_side, second.input_side)
        costs = first.milliseconds, second.milliseconds
        self.milliseconds = None if costs[0] is None or costs[1] is None else costs[0] + costs[1]

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        found = self._first.find(rgb, expected)
        again = self._second.find(rgb, expected) if found else []
        agreed = []
        for face in found:
            same = [other.confidence for other in again if other.box.overlap(face.box) >= SAME_FACE]
            if same:
                agreed.append(Found(face.box, min(face.confidence, max(same)), face.landmarks))
        return agreed
