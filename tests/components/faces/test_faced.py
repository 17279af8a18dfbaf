"""faced, as far as it can be run without its first network: geometry, suppression, and stand-in graphs."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components.faces import detectors
from components.faces.detectors import Found, faced
from components.faces.detectors.faced import GRID, Faced, git_blob_id, proposals, suppressed
from components.faces.detectors.self_check import Photograph, self_check
from fec.boxes import Box
from fec.errors import ConfigurationError
from tests.components.faces.scene import face_box, photograph
from tests.components.faces.stand_in import graphs, grid

WHOLE = Box(0.0, 1.0, 0.0, 1.0)


def test_a_cell_is_a_face_with_its_column_first() -> None:
    [found] = proposals(grid(c2r6=0.9), grid(c2r6=0.5), grid(c2r6=0.25), grid(c2r6=0.2), grid(c2r6=0.4), floor=0.3)
    assert found.confidence == pytest.approx(0.9)
    assert (found.box.left + found.box.right) / 2 == pytest.approx(2.5 / 9)
    assert (found.box.top + found.box.bottom) / 2 == pytest.approx(6.25 / 9)
    assert found.box.right - found.box.left == pytest.approx(0.2)
    assert found.box.bottom - found.box.top == pytest.approx(0.4)


def test_cells_below_the_floor_are_no_faces() -> None:
    probability = grid(c0r0=0.3, c1r1=0.31)
    rest = np.full((1, GRID, GRID), 0.1, np.float32)
    assert [round(found.confidence, 2) for found in proposals(probability, rest, rest, rest, rest, floor=0.3)] == [0.31]


def test_of_faces_that_overlap_the_most_confident_stays() -> None:
    one, same, apart = Box(0.0, 0.4, 0.0, 0.4), Box(0.05, 0.45, 0.0, 0.4), Box(0.6, 0.9, 0.6, 0.9)
    assert suppressed([Found(one, 0.5), Found(same, 0.8), Found(apart, 0.4)]) == [Found(same, 0.8), Found(apart, 0.4)]


def test_faces_that_touch_by_less_than_a_fifth_both_stay() -> None:
    one, other = Box(0.0, 0.4, 0.0, 0.4), Box(0.3, 0.7, 0.0, 0.4)
    assert len(suppressed([Found(one, 0.5), Found(other, 0.8)])) == 2


def test_a_blob_id_is_what_git_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"some\0content")
    said = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True)
    assert git_blob_id(b"some\0content") == said.stdout.strip()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"face_yolo\.pb cannot be read \(No such file or directory\); fetch it from https://github.com/iitzco"),
        ({"face_yolo.pb": b"version https://git-lfs"}, r"face_yolo\.pb is not the published file \(git blob"),
    ],
)
def test_weights_that_are_missing_or_others_are_refused(
    tmp_path: Path, files: Mapping[str, bytes], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        detectors.load("faced", str(tmp_path))


@pytest.fixture(scope="module")
def stand_in() -> Faced:
    """Both networks as small graphs."""
    pytest.importorskip("tensorflow.compat.v1")
    return Faced(*graphs("c3r5", proposed=(0.2, 0.4), corrected=(0.25, 0.5)))


def picture(red: int, green: int, blue: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((200, 400, 3), (red, green, blue), np.uint8)


def test_the_proposer_sees_red_first_and_scaled_to_one(stand_in: Faced) -> None:
    [found] = stand_in.find(picture(204, 0, 51), WHOLE)
    assert found.confidence == pytest.approx(0.8, abs=1e-4)
    assert stand_in.find(picture(0, 255, 255), WHOLE) == []


def test_the_corrector_sees_blue_first_and_answers_within_the_proposal_and_its_margin(stand_in: Faced) -> None:
    # The proposal is 0.2 x 0.4 around (3.5 / 9, 5.5 / 9); with half of its size on each side twice as large.
    [found] = stand_in.find(picture(255, 0, 51), WHOLE)
    left, top = 3.5 / 9 - 0.2, 5.5 / 9 - 0.4
    assert (found.box.left + found.box.right) / 2 == pytest.approx(left + 0.2 * 0.4, abs=0.01)
    assert found.box.right - found.box.left == pytest.approx(0.25 * 0.4, abs=0.01)
    assert (found.box.top + found.box.bottom) / 2 == pytest.approx((top + 1) / 2, abs=0.01)
    assert found.box.bottom - found.box.top == pytest.approx(0.5 * (1 - top), abs=0.01)


def test_a_photograph_goes_through_both_networks(stand_in: Faced) -> None:
    astronaut = photograph("astronaut")
    expected = cv2.resize(astronaut, (faced.INPUT_SIDE, faced.INPUT_SIDE))[..., 0].mean() / 255
    [found] = stand_in.find(astronaut, WHOLE)
    assert found.confidence == pytest.approx(expected, abs=1e-4)


def test_weights_that_see_no_faces_fail_the_self_check_and_break_nothing(stand_in: Faced) -> None:
    lines = self_check(stand_in, [Photograph("astronaut", photograph("astronaut"), face_box("astronaut"))])
    assert [line.good for line in lines].count(False) >= 3
    assert all("Error" not in line.text for line in lines)
