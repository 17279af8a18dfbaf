"""The faces in a whole photograph, cut out as the training's crops were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.faces.detectors.found import Found
from components.faces.detectors.yunet import INPUT_SIDE, YuNet
from components.faces.geometry import crop_place, cut
from components.faces.parameters import Parameters as Faces
from fec.boxes import Box
from fec.colour import to_srgb
from fec.errors import ConfigurationError
from fec.model_card import Preprocessing
from fec.pixels import RGB, TooManyPixels, Unreadable, decode, encode_jpeg, upright

# Pixels of a photograph's longer side that the detector sees, one after the other: at INPUT_SIDE it finds a face that
# fills the picture, at the last one those of 50 pixels in 2,000. FINEST is for pictures that have as many themselves.
SIDES: Final = (INPUT_SIDE, 640)
FINEST: Final = 1280
# Intersection over union from which on two finds are one face.
SAME_FACE: Final = 0.3
MAX_PIXELS: Final[int] = Faces(root="", split="train").max_pixels


@dataclass(frozen=True)
class Photograph:
    """A decoded picture as a viewer shows it; ``icc`` is its colour profile, or b""."""

    name: str
    rgb: RGB
    icc: bytes = b""


@dataclass(frozen=True)
class FaceInPicture:
    """A face of a photograph: its box as FEC would publish it (fractions), how sure the detector was (None: it was not
    asked), and its crop as a JPEG, as the faces step stores them."""

    box: Box
    confidence: float | None
    crop: bytes


def read_photograph(path: Path) -> Photograph:
    """The picture in a file; ConfigurationError for what is none, or cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    return decoded(data, str(path))


def decoded(data: bytes, name: str) -> Photograph:
    """The picture of these bytes; ConfigurationError, with ``name``, for bytes that are none."""
    try:
        picture = decode(data, MAX_PIXELS)
    except (Unreadable, TooManyPixels, MemoryError) as error:
        raise ConfigurationError(f"{name}: not a picture that can be read ({error or 'too large'})") from None
    return Photograph(name, upright(picture.rgb, picture.orientation), picture.icc)


class FaceFinder:
    """Finds the faces of photographs by YuNet, and cuts them out by ``steps``; one instance serves one thread."""

    def __init__(self, steps: Preprocessing) -> None:
        self._steps = steps
        self._detectors = [YuNet(side=side) for side in (*SIDES, FINEST)]

    def faces(self, photograph: Photograph) -> list[FaceInPicture]:
        """Every face that YuNet is sure of, from left to right; none may be there."""
        fine = max(photograph.rgb.shape[:2]) >= FINEST
        sure = [
            face
            for detector in self._detectors
            if fine or detector.input_side < FINEST
            for face in detector.find(photograph.rgb, Box(0.0, 1.0, 0.0, 1.0))
            if face.confidence >= detector.threshold
        ]
        found: list[Found] = []
        for face in sorted(sure, key=lambda face: (-face.confidence, face.box)):
            if all(face.box.overlap(other.box) < SAME_FACE for other in found):
                found.append(face)
        boxes = [(self._as_published(face.box), face.confidence) for face in sorted(found, key=lambda one: one.box)]
        return [self.cut(photograph, box, confidence) for box, confidence in boxes]

    def cut(self, photograph: Photograph, box: Box, confidence: float | None = None) -> FaceInPicture:
        """The face at ``box``, a box as FEC publishes them; ConfigurationError for one that holds no pixel."""
        height, width = photograph.rgb.shape[:2]
        place = crop_place(box, self._steps.margin, self._steps.crop, width, height)
        if min(place.width, place.height) < 1:
            raise ConfigurationError(f"{photograph.name}: the box {shown(box)} holds no pixel")
        crop = to_srgb(cut(photograph.rgb, place), photograph.icc)
        return FaceInPicture(box, confidence, encode_jpeg(crop, self._steps.crop_quality))

    def _as_published(self, found: Box) -> Box:
        left, right, top, bottom = self._steps.box_of_found
        wide, high = found.right - found.left, found.bottom - found.top
        return Box(
            max(0.0, found.left + left * wide),
            min(1.0, found.left + right * wide),
            max(0.0, found.top + top * high),
            min(1.0, found.top + bottom * high),
        )


def shown(box: Box) -> str:
    """A box for a person: left, right, top, bottom."""
    return f"{box.left:.3f}-{box.right:.3f}, {box.top:.3f}-{box.bottom:.3f}"


def the_one_face(faces: Sequence[FaceInPicture], name: str) -> FaceInPicture:
    """The only face of the picture ``name``; ConfigurationError, with where they are, for none or several."""
    if not faces:
        raise ConfigurationError(f"{name}: no face was found in it")
    if len(faces) > 1:
        places = "; ".join(f"{place} at {shown(face.box)}" for place, face in enumerate(faces, 1))
        raise ConfigurationError(f"{name}: {len(faces)} faces where one is wanted: {places} (left-right, top-bottom)")
    return faces[0]
