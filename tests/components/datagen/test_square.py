"""A crop becomes a square face: aspect and colours kept, edges filled with their own pixels."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from components.datagen.square import jpeg_size, square_face
from fec.pixels import encode_jpeg
from tests.components.collect.scene import photograph

Pixels = NDArray[np.uint8]


def small(rgb: Pixels, size: int = 64, quality: int = 95) -> NDArray[np.int64]:
    """What becomes of the pixels, decoded as RGB."""
    face = square_face(encode_jpeg(rgb, 100), size, quality)
    pixels = cv2.imdecode(np.frombuffer(face, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels.astype(np.int64)


def flat(height: int, width: int, colour: tuple[int, int, int]) -> Pixels:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


@pytest.mark.parametrize(("height", "width"), [(7, 7), (1, 200), (63, 64), (100, 50), (700, 300), (900, 1600)])
def test_any_shape_becomes_the_square_asked_for(height: int, width: int) -> None:
    pixels = small(flat(height, width, (200, 100, 30)))
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels - (200, 100, 30)).max() <= 4


def test_a_circle_stays_a_circle() -> None:
    picture = flat(200, 100, (0, 0, 0))
    cv2.circle(picture, (50, 100), 40, (255, 255, 255), -1)
    lit = small(picture).mean(axis=2) > 128
    assert abs(int(lit.any(axis=0).sum()) - int(lit.any(axis=1).sum())) <= 1
    assert lit.any(axis=0).sum() == pytest.approx(80 * 64 / 200, abs=1)


def test_the_shorter_side_is_filled_with_its_own_edges_evenly() -> None:
    picture = flat(100, 50, (10, 10, 10))
    picture[:, :25] = (220, 30, 30)
    pixels = small(picture)
    assert np.abs(pixels[:, :16] - (220, 30, 30)).max() < 30
    assert np.abs(pixels[:, 48:] - (10, 10, 10)).max() < 30
    assert (pixels[32, :, 0] > 115).sum() == pytest.approx(32, abs=1)  # as many columns on one side as on the other


def test_enlarging_makes_no_blocks() -> None:
    ramp = np.linspace(0, 255, 16).astype(np.uint8)
    steps = np.diff(small(np.broadcast_to(ramp[None, :, None], (16, 16, 3)).copy(), quality=100)[32, :, 0])
    assert np.abs(steps).max() < 10  # a block ends in a step of 17


@pytest.mark.parametrize("side", [90, 128, 255, 256, 511, 512])
def test_shrinking_averages_areas(side: int) -> None:
    picture = cv2.resize(photograph("astronaut"), (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    wanted = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int64)
    # In grey: JPEG keeps colours at half the resolution.
    assert np.abs(small(picture, quality=100).mean(axis=2) - wanted.mean(axis=2)).mean() < 3  # nearest: 9 to 18


def test_the_same_crop_gives_the_same_bytes() -> None:
    crop = encode_jpeg(photograph("chelsea")[:200, :150], 95)
    assert square_face(crop, 48, 80) == square_face(crop, 48, 80)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\x89PNG", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8\xff\xda\x00\x0c"]
)
def test_what_is_no_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable JPEG"):
        square_face(data, 64, 90)


def test_the_size_is_read_from_progressive_files_and_past_long_headers() -> None:
    picture = flat(30, 70, (1, 2, 3))
    data = bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    padded = data[:2] + b"\xff\xe1\xff\xff" + bytes(65533) + b"\xff" + data[2:]
    assert jpeg_size(data) == jpeg_size(padded) == (70, 30)
