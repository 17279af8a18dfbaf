"""Whether a detector finds what is known to be in some photographs: for weights that only their user has.

A face has to be found where it is, also when it lies off the crop's middle and the crop is no square, which a detector
whose axes or colours are mixed up does not do; and nothing where there is no face.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from components.faces.detectors.found import Detector
from components.faces.geometry import BOX, crop_place, cut, within
from components.faces.judging import judge
from fec.boxes import Box
from fec.outcomes import FaceOutcome
from fec.pixels import RGB

# How much of the box's width and height a crop has more on each side: left, right, top, bottom.
_FRAMES: Final = {
    "in the middle": (0.075, 0.075, 0.075, 0.075),
    "to the left": (0.0, 1.6, 0.1, 0.1),
    "to the right": (1.6, 0.0, 0.1, 0.1),
    "at the top": (0.1, 0.1, 0.0, 1.6),
}


@dataclass(frozen=True)
class Photograph:
    """A picture, and the face in it (fractions), or None."""

    name: str
    rgb: RGB
    face: Box | None


@dataclass(frozen=True)
class Line:
    """Something that was checked, and whether it is as it should be."""

    good: bool
    text: str


def self_check(detector: Detector, photographs: Sequence[Photograph]) -> list[Line]:
    """What the detector makes of ``photographs``, a line each, and last what a crop costs.

    An error of the detector's own, such as outputs of another shape than it should have, is a bad line.
    """
    lines, spent = [], 0.0
    for name, rgb, expected in _crops(photographs):
        start = time.process_time()
        try:
            lines.append(_checked(detector, name, rgb, expected))
        except Exception as error:  # noqa: BLE001 - whatever graphs of others raise
            lines.append(Line(False, f"{name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"))
        spent += time.process_time() - start
    if lines:
        lines.append(Line(True, f"{1000 * spent / len(lines):.1f} ms of CPU time a crop"))
    return lines


def _crops(photographs: Sequence[Photograph]) -> Iterator[tuple[str, RGB, Box | None]]:
    """Each crop to look at, and where the face is in it; of a face also its mirror image."""
    for photograph in photographs:
        height, width = photograph.rgb.shape[:2]
        if photograph.face is None:
            yield photograph.name, photograph.rgb, None
            continue
        for frame, more in _FRAMES.items():
            place = crop_place(_framed(photograph.face, more), 0.0, BOX, width, height)
            crop = cut(photograph.rgb, place)
            expected = within(photograph.face, place, width, height)
            yield f"{photograph.name}, {frame}", crop, expected
        mirrored = Box(1 - expected.right, 1 - expected.left, expected.top, expected.bottom)
        yield f"{photograph.name}, mirrored", np.asarray(cv2.flip(crop, 1), np.uint8), mirrored


def _framed(face: Box, more: tuple[float, float, float, float]) -> Box:
    wide, high = face.right - face.left, face.bottom - face.top
    left, right, top, bottom = more
    return Box(
        max(0.0, face.left - left * wide),
        min(1.0, face.right + right * wide),
        max(0.0, face.top - top * high),
        min(1.0, face.bottom + bottom * high),
    )


def _checked(detector: Detector, name: str, rgb: RGB, expected: Box | None) -> Line:
    found = detector.find(rgb, expected or Box(0.1, 0.9, 0.1, 0.9))
    if wrong := [face for face in found if not 0 <= face.confidence <= 1]:
        return Line(False, f"{name}: a confidence of {wrong[0].confidence:.2f}, which is none of 0 to 1")
    if expected is None:
        sure = [face.confidence for face in found if face.confidence >= detector.threshold]
        return Line(not sure, f"{name}: " + (f"a face at {max(sure):.2f}, where there is none" if sure else "no face"))
    outcome, detail, face = judge(found, expected, detector.threshold)
    if outcome is not FaceOutcome.OK or face is None:
        return Line(False, f"{name}: {outcome}: {detail}")
    overlap = face.box.overlap(expected)
    return Line(True, f"{name}: found at {face.confidence:.2f}, overlap with its box {overlap:.2f}")
