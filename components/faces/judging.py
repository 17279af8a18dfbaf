"""What the faces that a detector found in a crop say of the face that was published for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from components.faces.detectors.found import Found
from fec.boxes import Box
from fec.outcomes import FaceOutcome

# Intersection over union of the found face and the published box. A box of twice the face's width and height has
# .22-.32, one moved by three quarters of its width .15-.17 (measured on 45 portraits of the demo).
MIN_OVERLAP: Final = 0.2
# A second face whose middle is in the box counts if it has these shares of the first one's width and height, and of its
# confidence: by that, and not by the wanted one, so that a higher threshold makes none of several the only one.
SECOND_SIZE: Final = 0.7
SECOND_CONFIDENCE: Final = 0.8
# YuNet finds faces on their head at up to .89 and calls their mouth eyes; the same faces upright at .89-.94. Below SURE
# the more confident of both ways up counts, if by MORE, and the eyes level within LEVEL degrees. A tilted head costs
# confidence either way up, so each is also looked at with its eyes turned level, if they are not within TILTED degrees.
# As benchmarks/upside_down.py prints it, none of 168 upright faces tilted by up to 30 degrees is then called so; of
# those on their head none of 72 tilted by up to 10 passes, and 10 of 96 by 20 or 30 (18 without turning them level);
# by 40 to 60 it is 5 of 144 (9) and 39 of 144 (44). MORE of .02 misses fewer and calls more so, .05 the reverse.
SURE: Final = 0.9
MORE: Final = 0.03
LEVEL: Final = 45.0
TILTED: Final = 3.0


@dataclass(frozen=True)
class Pose:
    """How a head is turned, from five landmarks; no angles but ``roll``.

    ``roll``: degrees by which the eyes are turned clockwise from the horizontal, -180..180. ``yaw``: how far the nose
    is from the middle of the eyes towards the picture's right, in distances of the eyes; 0 from the front. ``pitch``:
    how far down from the eyes to the mouth the nose is; about 0.6 from the front, less with the head raised.
    """

    roll: float
    yaw: float
    pitch: float


def judge(found: Sequence[Found], expected: Box, min_confidence: float) -> tuple[FaceOutcome, str, Found | None]:
    """The outcome, its reason and the face it is about, for the faces ``found`` in a crop.

    ``expected`` is the published box in fractions of the crop. The most confident face that lies there
    counts; a face elsewhere is somebody else's.
    """
    if not found:
        return FaceOutcome.NO_FACE, "nothing found", None
    there = [face for face in found if face.box.overlap(expected) >= MIN_OVERLAP]
    best = max(there or found, key=lambda face: (face.confidence, face.box))
    if not there:
        detail = f"a face at {best.confidence:.2f}, but not where the box is (overlap {best.box.overlap(expected):.2f})"
        sure = best.confidence >= min_confidence
        return (FaceOutcome.FACE_ELSEWHERE if sure else FaceOutcome.NO_FACE), detail, best
    if best.confidence < min_confidence:
        return FaceOutcome.LOW_CONFIDENCE, low_confidence(best.confidence, min_confidence), best
    if _upside_down(best):
        return FaceOutcome.UPSIDE_DOWN, "its eyes are below its mouth", best
    others = [face for face in found if face != best and face.confidence >= SECOND_CONFIDENCE * best.confidence]
    if others := [face for face in others if _as_well(face.box, best.box, expected)]:
        return FaceOutcome.SEVERAL_FACES, f"{1 + len(others)} faces in the box, none much larger than the others", best
    return FaceOutcome.OK, "", best


def low_confidence(confidence: float, wanted: float) -> str:
    """Why a face below the wanted confidence is not kept."""
    return f"best face {confidence:.2f}, wanted {wanted:.2f}"


def turned(found: Found) -> Found:
    """A face found in a crop that was turned by half a turn, as it lies in the crop."""
    marks = tuple((1 - x, 1 - y) for x, y in found.landmarks)
    return Found(turned_box(found.box), found.confidence, marks)


def turned_box(box: Box) -> Box:
    """The box after half a turn."""
    return Box(1 - box.right, 1 - box.left, 1 - box.bottom, 1 - box.top)


def pose(found: Found, width: int, height: int) -> Pose | None:
    """The pose of a face found in a crop of these pixels; None without landmarks."""
    if len(found.landmarks) != 5:
        return None
    (x1, y1), (x2, y2), nose, *mouth = ((x * width, y * height) for x, y in found.landmarks)
    across, apart = (x2 - x1, y2 - y1), math.hypot(x2 - x1, y2 - y1)
    eyes = ((x1 + x2) / 2, (y1 + y2) / 2)
    lips = (sum(x for x, _ in mouth) / 2, sum(y for _, y in mouth) / 2)
    down = (lips[0] - eyes[0], lips[1] - eyes[1])
    far = down[0] ** 2 + down[1] ** 2
    if not apart or not far:
        return None
    offset = (nose[0] - eyes[0], nose[1] - eyes[1])
    yaw = (offset[0] * across[0] + offset[1] * across[1]) / apart**2
    pitch = (offset[0] * down[0] + offset[1] * down[1]) / far
    return Pose(math.degrees(math.atan2(across[1], across[0])), yaw, pitch)


def tilt(found: Found, width: int, height: int) -> float:
    """Degrees by which a picture of these pixels has to be turned back to have the found face's eyes level, or 0."""
    head = pose(found, width, height)
    return 0.0 if head is None or abs(head.roll) <= TILTED else head.roll


def stands(other: Found, confidence: float, before: float, width: int, height: int) -> bool:
    """Whether the face found after half a turn stands upright in it, more surely than what was found ``before``."""
    head = pose(other, width, height)
    return (head is None or abs(head.roll) <= LEVEL) and confidence >= before + MORE


def _upside_down(found: Found) -> bool:
    if len(found.landmarks) != 5:
        return False
    heights = [y for _, y in found.landmarks]
    return min(heights[:2]) > max(heights[3:])


def _as_well(box: Box, best: Box, expected: Box) -> bool:
    """Whether the annotators may have meant the face in ``box`` as well as the ``best`` one."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    inside = expected.left <= x <= expected.right and expected.top <= y <= expected.bottom
    wide = box.right - box.left >= SECOND_SIZE * (best.right - best.left)
    high = box.bottom - box.top >= SECOND_SIZE * (best.bottom - best.top)
    return inside and wide and high
