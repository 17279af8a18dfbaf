"""YuNet with the weights in the tree."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from components.faces import detectors
from components.faces.detectors.yunet import INPUT_SIDE, NMS_IOU, SCORE_FLOOR, TOP_K, WEIGHTS, YuNet
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB
from tests.components.faces.scene import FACE_PIXELS, PEOPLE, photograph

WHOLE = Box(0.0, 1.0, 0.0, 1.0)


def face(person: str) -> RGB:
    left, right, top, bottom = FACE_PIXELS[person]
    return np.ascontiguousarray(photograph(person)[top:bottom, left:right])


def confidence_of_opencv(bgr: RGB) -> float:
    """What OpenCV's own detector says of a picture in the order of channels in which OpenCV reads files."""
    height, width = bgr.shape[:2]
    scale = INPUT_SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    detector = cv2.FaceDetectorYN.create(str(WEIGHTS), "", size, SCORE_FLOOR, NMS_IOU, TOP_K)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    _, found = detector.detect(cv2.resize(bgr, size, interpolation=interpolation))
    return float(max(row[14] for row in found))


def test_the_channels_arrive_in_the_order_the_network_was_trained_on(tmp_path: Path) -> None:
    picture = face("astronaut")
    file = str(tmp_path / "face.png")
    cv2.imwrite(file, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    right = confidence_of_opencv(np.asarray(cv2.imread(file), np.uint8))
    wrong = confidence_of_opencv(picture)
    [found] = YuNet().find(picture, WHOLE)
    assert found.confidence == right
    assert found.confidence != wrong


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
