"""No detector: the published box is taken at its word, for sets whose pictures are crops of faces already."""

from __future__ import annotations

from components.faces.detectors.found import Found
from fec.boxes import Box
from fec.pixels import RGB


class Trusting:
    """Finds a face exactly where one is expected, whatever is there."""

    name = "none"
    threshold = 0.0
    licence = "none needed"
    input_side = 0
    milliseconds: float | None = 0.0

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        return [Found(expected, 1.0)]
