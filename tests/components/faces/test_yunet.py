"""YuNet with the weights in the tree."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from components.faces import detectors
from components.faces.detectors.yunet import SCORE_FLOOR, WEIGHTS, YuNet
from components.faces.detectors.yunet_outputs import NMS_IOU, TOP_K
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB
from tests.components.faces.scene import FACE_PIXELS, PEOPLE, photograph

WHOLE = Box(0.0, 1.0, 0.0, 1.0)


def face(person: str) -> RGB:
    left, right, top, bottom = FACE_PIXELS[person]
    return np.ascontiguousarray(photograph(person)[top:bottom, left:right])


def opencv_s(rgb: RGB) -> NDArray[np.float32]:
    """What OpenCV's own detector finds in a picture: rows as those of ``yunet_outputs.faces``."""
    height, width = rgb.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (width, height), SCORE_FLOOR, NMS_IOU, TOP_K)
    _, found = detector.detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return np.empty((0, 15), np.float32) if found is None else np.asarray(found, np.float32)


def ours(rgb: RGB) -> NDArray[np.float32]:
    """The same by YuNet, whose faces are in fractions of the picture."""
    height, width = rgb.shape[:2]
    rows = [
        (
            face.box.left * width,
            face.box.top * height,
            (face.box.right - face.box.left) * width,
            (face.box.bottom - face.box.top) * height,
            *(value for x, y in face.landmarks for value in (x * width, y * height)),
            face.confidence,
        )
        for face in YuNet(side=max(width, height)).find(rgb, WHOLE)
    ]
    return np.array(rows, np.float32).reshape(-1, 15)


def spoiled(chance: np.random.Generator, person: str) -> RGB:
    """A part of a photograph with a face, at some scale, with noise, now and then twice beside itself."""
    rgb = photograph(person)
    left, right, top, bottom = FACE_PIXELS[person]
    around = (chance.uniform(0, 2, 4) * (right - left)).astype(int)
    part = rgb[
        max(0, top - around[0]) : bottom + around[1],
        max(0, left - around[2]) : right + around[3],
    ]
    scale = chance.uniform(70, 400) / min(part.shape[:2])
    part = np.asarray(cv2.resize(part, None, fx=scale, fy=scale), np.uint8)
    noisy = part + chance.normal(0, chance.uniform(0, 25), part.shape)
    once = np.clip(noisy, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.tile(once, (1, 1 + int(chance.integers(2)), 1)))


@pytest.mark.parametrize("person", PEOPLE)
def test_the_faces_are_those_that_opencv_s_own_detector_finds(person: str) -> None:
    chance = np.random.default_rng(len(person))
    several = 0
    for _ in range(25):
        rgb = spoiled(chance, person)
        expected = opencv_s(rgb)
        several += len(expected) > 1
        assert ours(rgb) == pytest.approx(expected, abs=0.01)
        assert ours(rgb)[:, 14] == pytest.approx(expected[:, 14], abs=1e-5)
    assert several


@pytest.mark.parametrize("shape", [(64, 64), (160, 90), (97, 301), (320, 640)])
def test_in_noise_it_finds_what_opencv_s_own_detector_does(shape: tuple[int, int]) -> None:
    chance = np.random.default_rng(0)
    for _ in range(5):
        noise = chance.integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert ours(noise) == pytest.approx(opencv_s(noise), abs=0.01)


def test_the_channels_arrive_in_the_order_the_network_was_trained_on() -> None:
    picture = face("astronaut")
    wrong = np.ascontiguousarray(picture[..., ::-1])
    assert ours(picture)[0, 14] == pytest.approx(opencv_s(picture)[0, 14], abs=1e-5)
    assert ours(picture)[0, 14] != pytest.approx(opencv_s(wrong)[0, 14], abs=1e-3)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_face_is_found_where_it_is(person: str) -> None:
    left, right, top, bottom = FACE_PIXELS[person]
    around = photograph(person)[max(0, top - 60) : bottom + 60, max(0, left - 60) : right + 60]
    best = max(YuNet().find(np.ascontiguousarray(around), WHOLE), key=lambda found: found.confidence)
    centre_x = max(0, left - 60) + (best.box.left + best.box.right) / 2 * around.shape[1]
    centre_y = max(0, top - 60) + (best.box.top + best.box.bottom) / 2 * around.shape[0]
    assert left < centre_x < right and top < centre_y < bottom
    assert best.confidence > 0.7


def test_what_was_searched_before_makes_no_difference() -> None:
    used = YuNet()
    for person in PEOPLE:
        used.find(photograph(person), WHOLE)
    assert used.find(face("astronaut"), WHOLE) == YuNet().find(face("astronaut"), WHOLE)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3000, 2), (16, 160), (160, 31)])
def test_nothing_is_found_in_noise_of_any_shape(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for _ in range(5):
        detector = YuNet()
        searched = [detector.find(picture, WHOLE) for picture in (noise, np.zeros_like(noise), noise)]
        assert searched == [[], [], []]


def test_a_face_in_a_thin_strip_is_found_where_it_is() -> None:
    left, right, top, bottom = FACE_PIXELS["astronaut"]
    strip = np.zeros((bottom - top, 4 * (right - left), 3), np.uint8)
    strip[:, : right - left] = face("astronaut")
    best = max(YuNet().find(strip, WHOLE), key=lambda found: found.confidence)
    assert best.box.overlap(Box(0.0, 1 / 4, 0.0, 1.0)) > 0.4


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.onnx").write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="not the file of opencv_zoo"):
        YuNet(tmp_path / "weights.onnx")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing \(weights.onnx\)"):
        YuNet(tmp_path / "weights.onnx")


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'haar' is not known; choose one of faced, none, yunet"):
        detectors.load("haar")
