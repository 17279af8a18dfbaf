"""A picture's look survives what happens to pictures on the web, and tells different pictures apart."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest

from components.collect.likeness import looks, mirrored
from components.collect.parameters import MOST_ALIKE
from components.faces.geometry import crop_place, cut
from components.faces.likeness import grey_likeness, likeness, small_grey
from fec.pixels import RGB, decode, encode_jpeg, upright
from tests.components.faces.scene import PEOPLE, SCENES, encoded, face_box, photograph


def crop_look(rgb: RGB) -> bytes | None:
    return grey_likeness(small_grey(rgb))


def differ(some: RGB, other: RGB, look: Callable[[RGB], bytes | None] = likeness) -> int:
    """The bits in which the looks of two pictures differ."""
    looks = look(some), look(other)
    assert looks[0] is not None and looks[1] is not None
    return int(np.bitwise_count(np.frombuffer(looks[0], np.uint8) ^ np.frombuffer(looks[1], np.uint8)).sum())


def scaled(rgb: RGB, factor: float, how: int = cv2.INTER_AREA) -> RGB:
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def cropped(rgb: RGB, share: float) -> RGB:
    height, width = rgb.shape[:2]
    dy, dx = round(height * share / 2), round(width * share / 2)
    return rgb[dy : height - dy, dx : width - dx]


def through_jpeg(rgb: RGB, quality: int) -> RGB:
    return decode(encoded(rgb, quality=quality), 10**8).rgb


def crop_of(name: str) -> RGB:
    rgb = photograph(name)
    return cut(rgb, crop_place(face_box(name), 0.15, "box", rgb.shape[1], rgb.shape[0]))


SAME: dict[str, Callable[[RGB], RGB]] = {
    "encoded again at 75": lambda rgb: through_jpeg(rgb, 75),
    "encoded again at 30": lambda rgb: through_jpeg(rgb, 30),
    "half as large": lambda rgb: scaled(rgb, 0.5),
    "a third, at 60": lambda rgb: through_jpeg(scaled(rgb, 0.33, cv2.INTER_CUBIC), 60),
    "twice as large": lambda rgb: scaled(rgb, 2, cv2.INTER_CUBIC),
    "grey": lambda rgb: np.asarray(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8),
    "less contrast": lambda rgb: np.asarray(cv2.convertScaleAbs(rgb, alpha=0.8, beta=20), np.uint8),
    "a little blurred": lambda rgb: np.asarray(cv2.GaussianBlur(rgb, (0, 0), 2), np.uint8),
    "cut by 1 %": lambda rgb: cropped(rgb, 0.01),
}


@pytest.mark.parametrize("change", SAME)
@pytest.mark.parametrize("name", [*PEOPLE, *SCENES])
def test_the_same_photograph_is_seen(name: str, change: str) -> None:
    assert differ(photograph(name), SAME[change](photograph(name))) <= MOST_ALIKE


@pytest.mark.parametrize("change", ["encoded again at 75", "half as large", "grey", "cut by 1 %"])
@pytest.mark.parametrize("name", PEOPLE)
def test_the_same_crop_is_seen(name: str, change: str) -> None:
    assert differ(crop_of(name), SAME[change](crop_of(name)), crop_look) <= MOST_ALIKE


def mirror(rgb: RGB) -> RGB:
    return np.asarray(cv2.flip(rgb, 1), np.uint8)


@pytest.mark.parametrize("change", ["encoded again at 75", "half as large", "grey"])
@pytest.mark.parametrize("name", [*PEOPLE, *SCENES])
def test_a_mirrored_photograph_looks_as_collect_takes_it_to(name: str, change: str) -> None:
    some, other = (likeness(rgb) for rgb in (photograph(name), SAME[change](mirror(photograph(name)))))
    assert some is not None and other is not None
    expected = mirrored(looks([some]))
    assert np.bitwise_count(expected ^ looks([other])).sum() <= MOST_ALIKE


def test_other_pictures_are_told_apart() -> None:
    pictures = [*(photograph(name) for name in (*PEOPLE, *SCENES)), *(crop_of(name) for name in PEOPLE)]
    pictures += [mirror(picture) for picture in pictures]
    assert min(differ(*pair) for pair in combinations(pictures, 2)) > 2 * MOST_ALIKE


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_looks_as_its_viewer_sees_it(orientation: int) -> None:
    rgb = photograph("hopper")
    seen: Any = encode_jpeg(np.ascontiguousarray(upright(rgb, orientation)), 95)
    stored = np.frombuffer(likeness(rgb, orientation) or b"", np.uint8)
    other = np.frombuffer(likeness(decode(seen, 10**8).rgb) or b"", np.uint8)
    assert np.bitwise_count(stored ^ other).sum() <= MOST_ALIKE


@pytest.mark.parametrize("shape", [(3, 5), (16, 16), (64, 900), (300, 200)])
def test_a_flat_picture_has_no_look(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), 120, np.uint8)
    assert likeness(rgb) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (17, 40), (63, 64), (257, 3000)])
def test_any_shape_has_a_look(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    look = likeness(noise)
    assert look is None or len(look) == 32
