"""One image and its boxes → verdicts."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from components.faces import detectors
from components.faces.detectors import Detector, Found
from components.faces.geometry import crop_place, cut, within
from components.faces.judging import judge, pose
from components.faces.parameters import Parameters
from components.faces.verification import (
    THUMBNAIL_SIDE,
    Verdict,
    WantedFace,
    verify_image,
)
from fec.boxes import Box
from fec.identity import crop_name, face_id, image_id
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, Picture, decode
from tests.components.faces.scene import NOWHERE, PEOPLE, SCENES, encoded, face_box, photograph, smaller
from tests.fec.profiles import rgb_profile

CRITERIA = Parameters("none", "train", min_confidence=0.7, max_pixels=10_000_000)
URL = "http://pictures.example/a.jpg"
EXIF_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def yunet() -> Detector:
    return detectors.load("yunet")


def verdicts(data: bytes, boxes: list[Box], detector: Detector, criteria: Parameters = CRITERIA) -> list[Verdict]:
    wanted = [WantedFace(face_id(URL, box), image_id(URL), box, crop_name(URL, box)) for box in boxes]
    return verify_image(data, wanted, criteria, detector)


def verdict(data: bytes, box: Box, detector: Detector, criteria: Parameters = CRITERIA) -> Verdict:
    [only] = verdicts(data, [box], detector, criteria)
    return only


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("side", [2000, 200])
def test_a_face_in_its_box_is_kept(person: str, side: int, yunet: Detector) -> None:
    kept = verdict(encoded(smaller(photograph(person), side)), face_box(person), yunet)
    assert kept.face.outcome is FaceOutcome.OK
    assert kept.face.confidence is not None and kept.face.confidence >= 0.7
    assert kept.face.crop_name == crop_name(URL, face_box(person))
    assert kept.crop is not None


@pytest.mark.parametrize("scene", SCENES)
def test_what_is_no_face_is_rejected(scene: str, yunet: Detector) -> None:
    for box in (Box(0.25, 0.65, 0.2, 0.75), Box(0.0, 1.0, 0.0, 1.0), Box(0.5, 0.9, 0.4, 0.8)):
        rejected = verdict(encoded(photograph(scene)), box, yunet)
        assert rejected.face.outcome in (FaceOutcome.NO_FACE, FaceOutcome.LOW_CONFIDENCE)
        assert rejected.crop is None
        assert rejected.face.crop_name is None
        assert rejected.face.detail


@pytest.mark.parametrize("person", PEOPLE)
def test_a_box_where_no_face_is_is_rejected(person: str, yunet: Detector) -> None:
    assert verdict(encoded(photograph(person)), NOWHERE, yunet).face.outcome is FaceOutcome.NO_FACE


def test_a_box_with_somebody_small_in_it_is_rejected(yunet: Detector) -> None:
    rejected = verdict(encoded(photograph("astronaut")), Box(0.0, 0.9, 0.0, 0.9), yunet).face
    assert rejected.outcome is FaceOutcome.FACE_ELSEWHERE
    assert "not where the box is" in rejected.detail
    assert rejected.confidence is not None and rejected.confidence > 0.7


def test_the_crop_is_the_published_box_and_fifteen_per_cent_at_full_size(yunet: Detector) -> None:
    kept = verdict(encoded(photograph("astronaut"), "PNG"), face_box("astronaut"), yunet)
    face = kept.face
    assert (face.crop_left, face.crop_right, face.crop_top, face.crop_bottom) == (171, 275, 54, 185)
    assert (face.image_width, face.image_height, face.orientation) == (512, 512, 1)
    assert kept.crop is not None
    crop = np.asarray(Image.open(io.BytesIO(kept.crop)))
    expected = photograph("astronaut")[54:185, 171:275]
    assert crop.shape == expected.shape
    assert np.abs(crop.astype(int) - expected).mean() < 2


def test_a_crop_at_the_border_is_clipped_and_kept(yunet: Detector) -> None:
    picture = photograph("hopper")[120:332, 183:353]
    kept = verdict(encoded(np.ascontiguousarray(picture)), Box(0.0, 1.0, 0.0, 1.0), yunet).face
    assert kept.outcome is FaceOutcome.OK
    assert (kept.crop_left, kept.crop_right, kept.crop_top, kept.crop_bottom) == (0, 170, 0, 212)


def test_two_faces_of_one_photograph_have_their_own_crops(yunet: Detector) -> None:
    left, right = (cv2.resize(photograph(name), (512, 512)) for name in ("astronaut", "hopper"))
    one, other = (face_box(name) for name in ("astronaut", "hopper"))
    boxes = [
        Box(one.left / 2, one.right / 2, one.top, one.bottom),
        Box(0.5 + other.left / 2, 0.5 + other.right / 2, other.top, other.bottom),
    ]
    first, second = verdicts(encoded(np.hstack([left, right]).astype(np.uint8)), boxes, yunet)
    assert (first.face.outcome, second.face.outcome) == (FaceOutcome.OK, FaceOutcome.OK)
    assert first.face.crop_name != second.face.crop_name
    assert first.crop != second.crop


def test_an_image_is_decoded_once_for_all_its_faces(yunet: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def counting(data: bytes, max_pixels: int) -> Picture:
        decoded.append(len(data))
        return decode(data, max_pixels)

    monkeypatch.setattr("components.faces.verification.decode", counting)
    assert len(verdicts(encoded(photograph("astronaut")), [face_box("astronaut"), NOWHERE], yunet)) == 2
    assert len(decoded) == 1


def sideways(rgb: RGB, orientation: int, turn: int) -> bytes:
    """The picture turned ``turn`` times to the left, with an EXIF orientation."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return encoded(np.ascontiguousarray(np.rot90(rgb, turn)), exif=exif)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("orientation", "turn"), [(6, 1), (3, 2), (8, 3)])
def test_boxes_mean_the_picture_as_a_viewer_sees_it(person: str, orientation: int, turn: int, yunet: Detector) -> None:
    kept = verdict(sideways(photograph(person), orientation, turn), face_box(person), yunet).face
    assert kept.outcome is FaceOutcome.OK
    assert kept.orientation == orientation
    assert (kept.image_height, kept.image_width) == photograph(person).shape[:2]


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_boxes_of_the_picture_as_stored_are_found_too(person: str, orientation: int, yunet: Detector) -> None:
    kept = verdict(sideways(photograph(person), orientation, 0), face_box(person), yunet).face
    assert kept.outcome is FaceOutcome.OK
    assert kept.orientation == 1
    assert (kept.image_height, kept.image_width) == photograph(person).shape[:2]


def test_a_turned_picture_without_the_face_is_told_of_as_a_viewer_sees_it(yunet: Detector) -> None:
    rejected = verdict(sideways(photograph("cat"), 6, 1), Box(0.2, 0.6, 0.2, 0.6), yunet).face
    assert rejected.outcome is FaceOutcome.NO_FACE
    assert rejected.orientation == 6


def test_all_faces_of_an_image_are_taken_from_the_same_view(yunet: Detector) -> None:
    data = sideways(photograph("astronaut"), 6, 0)
    faces = [item.face for item in verdicts(data, [NOWHERE, face_box("astronaut")], yunet)]
    assert [face.outcome for face in faces] == [FaceOutcome.NO_FACE, FaceOutcome.OK]
    assert [face.orientation for face in faces] == [1, 1]


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP"])
def test_other_formats_give_crops_too(format: str, yunet: Detector) -> None:
    assert verdict(encoded(photograph("hopper"), format), face_box("hopper"), yunet).crop is not None


def test_a_grey_picture_gives_a_crop_of_three_channels(yunet: Detector) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph("camera")).convert("L").save(buffer, "JPEG")
    kept = verdict(buffer.getvalue(), face_box("camera"), yunet)
    assert kept.crop is not None
    assert Image.open(io.BytesIO(kept.crop)).mode == "RGB"


def test_a_truncated_image_is_unreadable(yunet: Detector) -> None:
    data = encoded(photograph("astronaut"))
    face = verdict(data[: len(data) // 2], face_box("astronaut"), yunet).face
    assert (face.outcome, face.detail) == (FaceOutcome.UNREADABLE, "512x512 JPEG: truncated")
    assert face.thumbnail is None


def test_an_image_of_too_many_pixels_is_not_decoded(yunet: Detector) -> None:
    criteria = replace(CRITERIA, max_pixels=512 * 511)
    face = verdict(encoded(photograph("astronaut")), face_box("astronaut"), yunet, criteria).face
    assert face.outcome is FaceOutcome.TOO_MANY_PIXELS
    assert face.detail == "512x512 JPEG: 262,144 pixels, allowed are 261,632"


def test_a_crop_of_a_few_pixels_is_too_small(yunet: Detector) -> None:
    face = verdict(encoded(smaller(photograph("astronaut"), 60)), face_box("astronaut"), yunet).face
    assert (face.outcome, face.detail) == (FaceOutcome.BOX_TOO_SMALL, "crop of 13x16 pixels, wanted 16 a side")


def test_a_box_of_an_image_of_one_pixel_is_too_small(yunet: Detector) -> None:
    face = verdict(encoded(np.zeros((1, 1, 3), np.uint8), "PNG"), Box(0.2, 0.4, 0.2, 0.4), yunet).face
    assert face.outcome is FaceOutcome.BOX_TOO_SMALL


def test_a_rejected_crop_leaves_a_small_picture(yunet: Detector) -> None:
    face = verdict(encoded(photograph("coffee")), Box(0.1, 0.9, 0.1, 0.9), yunet).face
    assert face.thumbnail is not None
    assert max(Image.open(io.BytesIO(face.thumbnail)).size) == THUMBNAIL_SIDE
    assert len(face.thumbnail) < 6_000


def test_the_wanted_confidence_decides(yunet: Detector) -> None:
    data, box = encoded(photograph("astronaut")), face_box("astronaut")
    confidence = verdict(data, box, yunet).face.confidence
    assert confidence is not None and confidence < 0.99
    strict = verdict(data, box, yunet, replace(CRITERIA, min_confidence=0.99)).face
    assert strict.outcome is FaceOutcome.LOW_CONFIDENCE
    assert strict.detail == f"best face {confidence:.2f}, wanted 0.99"
    assert strict.confidence == confidence
    assert strict.thumbnail is not None


THERE = Box(0.1, 0.9, 0.1, 0.9)
UPRIGHT = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
ON_ITS_HEAD = tuple((1 - x, 1 - y) for x, y in UPRIGHT)


@pytest.mark.parametrize(
    ("found", "outcome", "detail"),
    [
        ([], FaceOutcome.NO_FACE, "nothing found"),
        ([Found(THERE, 0.7)], FaceOutcome.OK, ""),
        ([Found(THERE, 0.43)], FaceOutcome.LOW_CONFIDENCE, "best face 0.43, wanted 0.70"),
        ([Found(THERE, 0.5), Found(Box(0.15, 0.9, 0.1, 0.9), 0.8)], FaceOutcome.OK, ""),
        (
            [Found(Box(0.7, 1.0, 0.7, 1.0), 0.9)],
            FaceOutcome.FACE_ELSEWHERE,
            "a face at 0.90, but not where the box is (overlap 0.06)",
        ),
        (
            [Found(Box(0.7, 1.0, 0.7, 1.0), 0.6)],
            FaceOutcome.NO_FACE,
            "a face at 0.60, but not where the box is (overlap 0.06)",
        ),
        (
            [Found(Box(0.1, 0.6, 0.1, 0.7), 0.9), Found(Box(0.5, 0.95, 0.2, 0.8), 0.8)],
            FaceOutcome.SEVERAL_FACES,
            "2 faces in the box, none much larger than the others",
        ),
        ([Found(Box(0.1, 0.6, 0.1, 0.7), 0.9), Found(Box(0.5, 0.95, 0.2, 0.8), 0.71)], FaceOutcome.OK, ""),
        ([Found(THERE, 0.9), Found(Box(0.5, 0.8, 0.2, 0.5), 0.9)], FaceOutcome.OK, ""),
        ([Found(THERE, 0.9, UPRIGHT)], FaceOutcome.OK, ""),
        (
            [Found(THERE, 0.9, ON_ITS_HEAD)],
            FaceOutcome.UPSIDE_DOWN,
            "its eyes are below its mouth",
        ),
        (
            [Found(Box(0.7, 1.0, 0.7, 1.0), 0.9), Found(THERE, 0.4)],
            FaceOutcome.LOW_CONFIDENCE,
            "best face 0.40, wanted 0.70",
        ),
    ],
)
def test_the_best_face_that_lies_in_the_box_counts(found: list[Found], outcome: FaceOutcome, detail: str) -> None:
    assert judge(found, THERE, 0.7)[:2] == (outcome, detail)


def test_a_box_within_its_crop_has_the_same_pixels() -> None:
    box = Box(0.31, 0.52, 0.11, 0.47)
    place = box.expanded().pixels(640, 480)
    inner = within(box, place, 640, 480)
    assert place.left + inner.left * place.width == pytest.approx(0.31 * 640)
    assert place.top + inner.bottom * place.height == pytest.approx(0.47 * 480)


def test_a_face_from_the_front_has_no_roll_and_no_yaw() -> None:
    head = pose(Found(THERE, 0.9, UPRIGHT), 200, 200)
    assert head is not None
    assert (head.roll, head.yaw, head.pitch) == pytest.approx((0, 0, 0.5))
    assert pose(Found(THERE, 0.9), 200, 200) is None


@pytest.mark.parametrize("degrees", [-90, -30, 10, 45])
def test_roll_is_the_angle_of_the_eyes_in_pixels_and_moves_nothing_else(degrees: float) -> None:
    turn = np.deg2rad(degrees)
    cos, sin = np.cos(turn), np.sin(turn)
    marks = [(100 * (x - 0.55), 100 * (y - 0.5)) for x, y in UPRIGHT]
    turned = tuple(((x * cos - y * sin) / 300 + 0.5, (x * sin + y * cos) / 150 + 0.5) for x, y in marks)
    head, straight = pose(Found(THERE, 0.9, turned), 300, 150), pose(Found(THERE, 0.9, UPRIGHT), 100, 100)
    assert head is not None and straight is not None
    assert head.roll == pytest.approx(degrees)
    assert (head.yaw, head.pitch) == pytest.approx((straight.yaw, straight.pitch))


def test_a_mirrored_face_looks_the_other_way(yunet: Detector) -> None:
    box = face_box("hopper")
    mirrored = Box(1 - box.right, 1 - box.left, box.top, box.bottom)
    one = verdict(encoded(photograph("hopper"), "PNG"), box, yunet).face
    other = verdict(encoded(np.ascontiguousarray(photograph("hopper")[:, ::-1]), "PNG"), mirrored, yunet).face
    assert one.yaw is not None and other.yaw is not None and one.landmarks is not None
    assert one.yaw == pytest.approx(-other.yaw, abs=0.06)
    left_eye, right_eye, mouth = one.landmarks[:2], one.landmarks[2:4], one.landmarks[6:8]
    assert left_eye[0] < right_eye[0] and left_eye[1] < mouth[1]


@pytest.mark.parametrize("person", PEOPLE)
def test_a_face_on_its_head_is_told_from_none(person: str, yunet: Detector) -> None:
    box = face_box(person)
    around = Box(1 - box.right, 1 - box.left, 1 - box.bottom, 1 - box.top)
    rejected = verdict(encoded(np.ascontiguousarray(photograph(person)[::-1, ::-1])), around, yunet).face
    assert rejected.outcome is FaceOutcome.UPSIDE_DOWN
    assert rejected.crop_name is None
    assert rejected.found_left is not None and rejected.found_right is not None
    assert 0 < rejected.found_left < rejected.found_right < 1


@pytest.mark.parametrize(("person", "degrees"), [("astronaut", -30), ("hopper", 30)])
def test_a_tilted_face_on_its_head_is_told_by_its_eyes_turned_level(person: str, degrees: int, yunet: Detector) -> None:
    box, rgb = face_box(person), photograph(person)
    height, width = rgb.shape[:2]
    middle = (box.left + box.right) / 2 * width, (box.top + box.bottom) / 2 * height
    outcomes = []
    for turn in (degrees, 180 + degrees):
        matrix = cv2.getRotationMatrix2D(middle, turn, 1.0)
        turned = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        outcomes.append(verdict(encoded(np.asarray(turned, np.uint8)), box, yunet).face.outcome)
    assert outcomes == [FaceOutcome.OK, FaceOutcome.UPSIDE_DOWN]


CHANGES: dict[str, Callable[[RGB], Any]] = {
    "mirrored": lambda rgb: rgb[:, ::-1],
    "half as large": lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice as large": lambda rgb: cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "grey": lambda rgb: cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "dark": lambda rgb: cv2.convertScaleAbs(rgb, alpha=0.35),
    "light": lambda rgb: cv2.convertScaleAbs(rgb, alpha=1.3, beta=40),
    "a little blurred": lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 1.5),
    "at JPEG quality 10": lambda rgb: decode(encoded(rgb, quality=10), 10**8).rgb,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("person", PEOPLE)
def test_the_rules_hold_for_a_photograph_that_is(change: str, person: str, yunet: Detector) -> None:
    box = face_box(person)
    if change == "mirrored":
        box = Box(1 - box.right, 1 - box.left, box.top, box.bottom)
    around = Box(1 - box.right, 1 - box.left, 1 - box.bottom, 1 - box.top)
    rgb = np.ascontiguousarray(CHANGES[change](photograph(person)), np.uint8)
    crop = cut(rgb, crop_place(box, 0.1, "box", rgb.shape[1], rgb.shape[0]))
    seen = {
        "upright": verdict(encoded(rgb, "PNG"), box, yunet).face.outcome,
        "on its head": verdict(encoded(np.ascontiguousarray(rgb[::-1, ::-1]), "PNG"), around, yunet).face.outcome,
        "twice": verdict(encoded(np.hstack([crop, crop]), "PNG"), Box(0.02, 0.98, 0.02, 0.98), yunet).face.outcome,
    }
    assert seen == {"upright": "ok", "on its head": "upside_down", "twice": "several_faces"}


def test_two_faces_of_a_size_in_one_box_are_several(yunet: Detector) -> None:
    face = photograph("hopper")[90:360, 160:380]
    rejected = verdict(encoded(np.hstack([face, face])), Box(0.02, 0.98, 0.05, 0.95), yunet).face
    assert rejected.outcome is FaceOutcome.SEVERAL_FACES
    assert rejected.thumbnail is not None


def test_a_blurred_crop_is_known_by_its_number(yunet: Detector) -> None:
    sharp = verdict(encoded(photograph("astronaut"), "PNG"), face_box("astronaut"), yunet).face.blur
    soft = cv2.GaussianBlur(photograph("astronaut"), (0, 0), 6).astype(np.uint8)
    blurred = verdict(encoded(soft, "PNG"), face_box("astronaut"), yunet).face.blur
    assert sharp is not None and blurred is not None
    assert blurred < 100 < sharp


def test_a_square_crop_loses_nothing_of_the_box_at_the_border(yunet: Detector) -> None:
    picture = np.ascontiguousarray(photograph("hopper")[120:332, 183:353])
    square = replace(CRITERIA, crop="square")
    kept = verdict(encoded(picture, "PNG"), Box(0.0, 1.0, 0.0, 1.0), yunet, square)
    assert kept.face.outcome is FaceOutcome.OK and kept.crop is not None
    assert (kept.face.crop_left, kept.face.crop_right, kept.face.crop_top, kept.face.crop_bottom) == (-21, 191, 0, 212)
    crop = np.asarray(Image.open(io.BytesIO(kept.crop)))
    assert crop.shape == (212, 212, 3)
    assert np.abs(crop[:, 21:191].astype(int) - picture).mean() < 2
    assert np.abs(crop[:, 0].astype(int) - picture[:, 0]).mean() < 3


def test_a_wider_margin_shows_more(yunet: Detector) -> None:
    kept = verdict(encoded(photograph("astronaut")), face_box("astronaut"), yunet, replace(CRITERIA, margin=1.0)).face
    assert (kept.outcome, kept.crop_left, kept.crop_right) == (FaceOutcome.OK, 133, 313)


@pytest.mark.parametrize("margin", [0.0, 0.15, 4.0])
@pytest.mark.parametrize("shape", ["box", "square"])
def test_without_a_detector_every_box_is_trusted(shape: str, margin: float) -> None:
    criteria = replace(CRITERIA, margin=margin, crop=shape)
    kept = verdict(encoded(photograph("cat")), Box(0.4, 0.5, 0.1, 0.9), detectors.load("none"), criteria)
    assert (kept.face.outcome, kept.face.confidence, kept.face.detector) == (FaceOutcome.OK, 1.0, "none")
    assert kept.crop is not None


def test_the_detector_says_what_confidence_is_wanted_where_nothing_else_does(yunet: Detector) -> None:
    own = replace(CRITERIA, min_confidence=0.0)
    sure = verdict(encoded(photograph("astronaut")), face_box("astronaut"), yunet, own).face.confidence
    assert sure is not None and sure >= yunet.threshold == 0.7
    strict = detectors.load("yunet")
    strict.threshold = 0.99
    below = verdict(encoded(photograph("astronaut")), face_box("astronaut"), strict, own).face
    assert (below.outcome, below.confidence) == (FaceOutcome.LOW_CONFIDENCE, sure)


def test_a_picture_in_a_wide_profile_gives_a_crop_in_srgb(yunet: Detector) -> None:
    data = encoded(photograph("astronaut"), "PNG", icc_profile=rgb_profile())
    plain = verdict(encoded(photograph("astronaut"), "PNG"), face_box("astronaut"), yunet).crop
    wide = verdict(data, face_box("astronaut"), yunet).crop
    assert plain is not None and wide is not None
    before, after = (np.asarray(Image.open(io.BytesIO(crop))).astype(int) for crop in (plain, wide))
    assert np.ptp(after, axis=2).mean() > 1.1 * np.ptp(before, axis=2).mean()
