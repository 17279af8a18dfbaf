"""Published boxes to crops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.faces.geometry import BOX, SQUARE, crop_place, cut
from fec.boxes import Box, PixelBox

sides = st.integers(2, 400)
margins = st.floats(0, 4)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, right = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
    return Box(left, right, top, bottom)


@given(boxes(), margins, sides, sides)
def test_a_square_holds_what_the_box_shape_holds_and_no_more_than_its_longer_side(
    box: Box, margin: float, width: int, height: int
) -> None:
    plain, square = (crop_place(box, margin, shape, width, height) for shape in (BOX, SQUARE))
    if min(plain.width, plain.height) < 1:
        assert square == plain
        return
    assert square.width == square.height == max(plain.width, plain.height)
    assert square.left <= plain.left and square.right >= plain.right
    assert square.top <= plain.top and square.bottom >= plain.bottom


@given(boxes(), margins, sides, sides)
def test_a_square_reaches_over_the_border_only_where_the_picture_is_too_small(
    box: Box, margin: float, width: int, height: int
) -> None:
    place = crop_place(box, margin, SQUARE, width, height)
    if min(place.width, place.height) < 1:
        return
    for start, end, limit in ((place.left, place.right, width), (place.top, place.bottom, height)):
        if end - start <= limit:
            assert 0 <= start < end <= limit
        else:
            assert start <= 0 and end >= limit
            assert abs(-start - (end - limit)) <= 1


@given(boxes(), margins, sides, sides)
def test_a_box_grows_by_its_margin_and_stays_in_the_picture(box: Box, margin: float, width: int, height: int) -> None:
    place, bare = (crop_place(box, more, BOX, width, height) for more in (margin, 0.0))
    assert 0 <= place.left <= bare.left and bare.right <= place.right <= width
    assert 0 <= place.top <= bare.top and bare.bottom <= place.bottom <= height
    grown = (box.right - box.left) * (1 + margin) * width
    assert place.width <= grown + 2


@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 60), st.integers(1, 60))
def test_what_is_cut_repeats_the_edge_beyond_the_border(left: int, top: int, width: int, height: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (31, 31, 3), dtype=np.uint8)
    place = PixelBox(left, left + width, top, top + height)
    if place.right < 1 or place.bottom < 1:
        return
    rows = np.clip(np.arange(place.top, place.bottom), 0, 30)
    columns = np.clip(np.arange(place.left, place.right), 0, 30)
    assert np.array_equal(cut(picture, place), picture[rows][:, columns])
