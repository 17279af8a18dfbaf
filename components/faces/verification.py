"""One image and its published boxes → a verdict a face, and the crops of those that are faces.

Pure: bytes in, rows and bytes out. The image is decoded once for all of its faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from components.faces.detectors import Detector, Found
from components.faces.geometry import crop_place, cut, reduced, within
from components.faces.judging import MIN_OVERLAP, SURE, judge, pose, stands, tilt, turned, turned_box
from components.faces.likeness import Grey, grey_likeness, likeness, small_grey
from components.faces.parameters import Parameters
from fec.boxes import Box
from fec.codecs import jpeg
from fec.colour import to_srgb
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, TooManyPixels, Unreadable, decode, encode_jpeg, upright
from fec.rows import VerifiedFace

THUMBNAIL_SIDE: Final = 96
THUMBNAIL_QUALITY: Final = 80
# A lower threshold may have kept such a face, and holding a higher one against that takes the thumbnail from the stored
# crop (rejudging.py): a run of its own must come to the same bytes. Other rejected crops are never encoded.
_KEPT_AT_SOME_THRESHOLD: Final = (FaceOutcome.OK, FaceOutcome.LOW_CONFIDENCE, FaceOutcome.SEVERAL_FACES)


@dataclass(frozen=True)
class WantedFace:
    """A row of the plan: which face to look for."""

    face_id: str
    image_id: str
    box: Box
    crop_name: str


@dataclass(frozen=True)
class Verdict:
    """A face's row, and its crop as JPEG if it is to be kept, as a face or, ``rejected``, to be looked at."""

    face: VerifiedFace
    crop: bytes | None = None
    rejected: bytes | None = None


def verify_image(
    data: bytes,
    wanted: Sequence[WantedFace],
    criteria: Parameters,
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

    look = likeness(picture.rgb, picture.orientation)

    def verified(rgb: RGB, orientation: int) -> list[Verdict]:
        view = _View(rgb, picture.icc, orientation, picture.orientation, look)
        return [_verify_face(view, face, criteria, detector) for face in wanted]

    seen = verified(upright(picture.rgb, picture.orientation), picture.orientation)
    if picture.orientation == 1 or any(verdict.crop for verdict in seen):
        return seen
    stored = verified(picture.rgb, 1)
    return stored if any(verdict.crop for verdict in stored) else seen


def rejected(face: WantedFace, outcome: FaceOutcome, detail: str, detector: str, **columns: object) -> Verdict:
    """The verdict on a face that is not kept."""
    return Verdict(_row(face, outcome, detail, detector, **columns))


@dataclass(frozen=True)
class _View:
    """A decoded picture, its profile, the EXIF orientation it was turned by and the one its file asks for, its look."""

    rgb: RGB
    icc: bytes
    orientation: int
    exif_orientation: int
    likeness: bytes | None


def _verify_face(view: _View, face: WantedFace, criteria: Parameters, detector: Detector) -> Verdict:
    height, width = view.rgb.shape[:2]
    place = crop_place(face.box, criteria.margin, criteria.crop, width, height)
    columns: dict[str, object] = {
        "image_width": width,
        "image_height": height,
        "orientation": view.orientation,
        "exif_orientation": view.exif_orientation,
        "crop_left": place.left,
        "crop_right": place.right,
        "crop_top": place.top,
        "crop_bottom": place.bottom,
        "image_likeness": view.likeness,
    }
    if min(place.width, place.height) < 1:
        return rejected(face, FaceOutcome.BOX_TOO_SMALL, "the box holds no pixel", detector.name, **columns)
    crop = to_srgb(cut(view.rgb, place), view.icc)
    levels = small_grey(crop)
    columns |= {"blur": blur(levels), "crop_likeness": grey_likeness(levels)}
    if min(place.width, place.height) < criteria.min_crop_size:
        detail = f"crop of {place.width}x{place.height} pixels, wanted {criteria.min_crop_size} a side"
        columns["thumbnail"] = _thumbnail(crop)
        small = rejected(face, FaceOutcome.BOX_TOO_SMALL, detail, detector.name, **columns)
        return _kept_rejected(small, crop, criteria)

    outcome, detail, found = _judged(crop, within(face.box, place, width, height), criteria, detector)
    if found is not None:
        columns |= _found_columns(found, place.width, place.height)
    if outcome not in _KEPT_AT_SOME_THRESHOLD:
        other = rejected(face, outcome, detail, detector.name, **columns, thumbnail=_thumbnail(crop))
        return _kept_rejected(other, crop, criteria)
    encoded = encode_jpeg(crop, criteria.crop_quality)
    if outcome is not FaceOutcome.OK:
        doubtful = rejected(face, outcome, detail, detector.name, **columns, thumbnail=thumbnail_of(encoded))
        return _kept_rejected(doubtful, crop, criteria)
    columns |= {"crop_name": face.crop_name, "crop_sha256": hashlib.sha256(encoded).hexdigest()}
    return Verdict(_row(face, outcome, detail, detector.name, **columns), encoded)


def _kept_rejected(verdict: Verdict, crop: RGB, criteria: Parameters) -> Verdict:
    """The verdict on a rejected crop, with all of the crop if such are to be kept."""
    if not criteria.keep_rejected:
        return verdict
    encoded = encode_jpeg(crop, criteria.crop_quality)
    row = replace(verdict.face, rejected_sha256=hashlib.sha256(encoded).hexdigest())
    return Verdict(row, rejected=encoded)


def _judged(
    crop: RGB, expected: Box, criteria: Parameters, detector: Detector
) -> tuple[FaceOutcome, str, Found | None]:
    """The verdict on a crop; where it is not sure, the crop is looked at after half a turn as well."""
    wanted = criteria.min_confidence or detector.threshold
    verdict = judge(detector.find(crop, expected), expected, wanted)
    found = verdict[2]
    if found is not None and (found.confidence >= SURE or verdict[0] is FaceOutcome.FACE_ELSEWHERE):
        return verdict
    around, over = turned_box(expected), _after_half_a_turn(crop)
    outcome, _, other = judge(detector.find(over, around), around, wanted)
    if outcome is not FaceOutcome.OK or other is None:
        return verdict
    before = 0.0 if found is None else _levelled(crop, expected, found, detector)
    if not stands(other, _levelled(over, around, other, detector), before, crop.shape[1], crop.shape[0]):
        return verdict
    return FaceOutcome.UPSIDE_DOWN, f"a face at {other.confidence:.2f} after half a turn", turned(other)


def _levelled(crop: RGB, expected: Box, found: Found, detector: Detector) -> float:
    """How sure the detector is of the face that it found in a crop: as it lies, or with its eyes turned level."""
    height, width = crop.shape[:2]
    degrees = tilt(found, width, height)
    if not degrees:
        return found.confidence
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    level = cv2.warpAffine(crop, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    there = [face.confidence for face in detector.find(level, expected) if face.box.overlap(expected) >= MIN_OVERLAP]
    return max([found.confidence, *there])


def _after_half_a_turn(crop: RGB) -> RGB:
    # A copy of crop[::-1, ::-1]; numpy takes far longer to make it.
    return cv2.rotate(crop, cv2.ROTATE_180).astype(np.uint8, copy=False)


def _found_columns(found: Found, width: int, height: int) -> dict[str, object]:
    columns: dict[str, object] = {
        "confidence": found.confidence,
        "found_left": found.box.left,
        "found_right": found.box.right,
        "found_top": found.box.top,
        "found_bottom": found.box.bottom,
    }
    if found.landmarks:
        columns["landmarks"] = [value for point in found.landmarks for value in point]
    head = pose(found, width, height)
    return columns if head is None else columns | {"roll": head.roll, "yaw": head.yaw, "pitch": head.pitch}


def blur(levels: Grey) -> float:
    """How sharp a crop is: the variance of the Laplacian of its ``small_grey`` levels; blurred: below 100."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(levels, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def thumbnail_of(crop: bytes) -> bytes:
    """A JPEG of at most THUMBNAIL_SIDE pixels a side of a crop that was, or would have been, stored as JPEG."""
    return _thumbnail(jpeg.pixels(crop, jpeg.read(crop)))


def _thumbnail(rgb: RGB) -> bytes:
    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    small = reduced(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    return encode_jpeg(small, THUMBNAIL_QUALITY)


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
