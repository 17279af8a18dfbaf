"""One image and its published boxes → a verdict a face, and the crops of those that are faces.

Pure: bytes in, rows and bytes out. The image is decoded once for all of its faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from components.faces.detectors import Detector, Found
from fec.boxes import Box, PixelBox
from fec.colour import to_srgb
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, TooManyPixels, Unreadable, decode, encode_jpeg, upright
from fec.rows import VerifiedFace

# Intersection over union of the found face and the published box. A box of twice the face's width and height has
# .22-.32, one moved by three quarters of its width .15-.17 (measured on 45 portraits of the demo).
MIN_OVERLAP: Final = 0.2
THUMBNAIL_SIDE: Final = 96
THUMBNAIL_QUALITY: Final = 80


@dataclass(frozen=True)
class WantedFace:
    """A row of the plan: which face to look for."""

    face_id: str
    image_id: str
    box: Box
    crop_name: str


@dataclass(frozen=True)
class Criteria:
    """What a face must meet; the fields are those of ``Parameters``."""

    min_confidence: float
    max_pixels: int
    min_crop_size: int
    crop_quality: int


@dataclass(frozen=True)
class Verdict:
    """A face's row, and its crop as JPEG if it is to be kept."""

    face: VerifiedFace
    crop: bytes | None = None


def verify_image(
    data: bytes,
    wanted: Sequence[WantedFace],
    criteria: Criteria,
    detector: Detector,
    limited: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[Verdict]:
    """A verdict for each of ``wanted``, in their order; all of them are faces of the image ``data``.

    Nobody has published whether the boxes were drawn on the picture as stored or as its EXIF orientation
    turns it. A viewer sees the latter, so that comes first; if none of the faces is there, the picture as
    stored is tried. The picture is decoded within ``limited()``.
    """
    try:
        with limited():
            picture = decode(data, criteria.max_pixels)
    except Unreadable as error:
        return [rejected(face, FaceOutcome.UNREADABLE, str(error), detector.name) for face in wanted]
    except TooManyPixels as error:
        return [rejected(face, FaceOutcome.TOO_MANY_PIXELS, str(error), detector.name) for face in wanted]
    except MemoryError:
        detail = "decoding it takes more memory than a picture of --max-pixels"
        return [rejected(face, FaceOutcome.UNREADABLE, detail, detector.name) for face in wanted]

    def verified(rgb: RGB, orientation: int) -> list[Verdict]:
        return [_verify_face(rgb, picture.icc, orientation, face, criteria, detector) for face in wanted]

    seen = verified(upright(picture.rgb, picture.orientation), picture.orientation)
    if picture.orientation == 1 or any(verdict.crop for verdict in seen):
        return seen
    stored = verified(picture.rgb, 1)
    return stored if any(verdict.crop for verdict in stored) else seen


def rejected(face: WantedFace, outcome: FaceOutcome, detail: str, detector: str, **columns: object) -> Verdict:
    """The verdict on a face that is not kept."""
    return Verdict(_row(face, outcome, detail, detector, **columns))


def _verify_face(
    rgb: RGB, icc: bytes, orientation: int, face: WantedFace, criteria: Criteria, detector: Detector
) -> Verdict:
    height, width = rgb.shape[:2]
    place = face.box.expanded().pixels(width, height)
    columns: dict[str, object] = {
        "image_width": width,
        "image_height": height,
        "orientation": orientation,
        "crop_left": place.left,
        "crop_right": place.right,
        "crop_top": place.top,
        "crop_bottom": place.bottom,
    }
    if min(place.width, place.height) < 1:
        return rejected(face, FaceOutcome.BOX_TOO_SMALL, "the box holds no pixel", detector.name, **columns)
    crop: RGB = to_srgb(rgb[place.top : place.bottom, place.left : place.right].copy(), icc)
    if min(place.width, place.height) < criteria.min_crop_size:
        detail = f"crop of {place.width}x{place.height} pixels, wanted {criteria.min_crop_size} a side"
        columns["thumbnail"] = thumbnail(crop)
        return rejected(face, FaceOutcome.BOX_TOO_SMALL, detail, detector.name, **columns)

    outcome, detail, found = judge(detector.find(crop), within(face.box, place, width, height), criteria.min_confidence)
    if found is not None:
        columns |= {
            "confidence": found.confidence,
            "found_left": found.box.left,
            "found_right": found.box.right,
            "found_top": found.box.top,
            "found_bottom": found.box.bottom,
        }
    if outcome is not FaceOutcome.OK:
        return rejected(face, outcome, detail, detector.name, **columns, thumbnail=thumbnail(crop))
    encoded = encode_jpeg(crop, criteria.crop_quality)
    columns |= {"crop_name": face.crop_name, "crop_sha256": hashlib.sha256(encoded).hexdigest()}
    return Verdict(_row(face, outcome, detail, detector.name, **columns), encoded)


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
        return FaceOutcome.NO_FACE, detail, best
    if best.confidence < min_confidence:
        return FaceOutcome.LOW_CONFIDENCE, f"best face {best.confidence:.2f}, wanted {min_confidence:.2f}", best
    return FaceOutcome.OK, "", best


def within(box: Box, place: PixelBox, width: int, height: int) -> Box:
    """``box`` (fractions of an image of ``width`` x ``height``) as fractions of its part ``place``."""
    return Box(
        (box.left * width - place.left) / place.width,
        (box.right * width - place.left) / place.width,
        (box.top * height - place.top) / place.height,
        (box.bottom * height - place.top) / place.height,
    )


def thumbnail(rgb: RGB) -> bytes:
    """A JPEG of at most THUMBNAIL_SIDE pixels a side."""
    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = rgb if scale == 1.0 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(small.astype(np.uint8, copy=False), THUMBNAIL_QUALITY)


def _row(face: WantedFace, outcome: FaceOutcome, detail: str, detector: str, **columns: object) -> VerifiedFace:
    box = face.box
    return VerifiedFace(
        face.face_id,
        face.image_id,
        outcome,
        detail,
        detector,
        box.left,
        box.right,
        box.top,
        box.bottom,
        **columns,  # type: ignore[arg-type]
    )
