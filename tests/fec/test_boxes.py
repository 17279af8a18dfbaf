"""Boxes: fractions, pixels, overlap."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fec.boxes import Box, PixelBox

fractions = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, right = sorted((draw(fractions), draw(fractions)))
    top, bottom = sorted((draw(fractions), draw(fractions)))
    assume(right - left > 1e-9 and bottom - top > 1e-9)
    return Box(left, right, top, bottom)


def test_a_box_grows_by_fifteen_per_cent_in_all() -> None:
    grown = Box(0.4, 0.6, 0.2, 0.6).expanded()
    assert grown.right - grown.left == pytest.approx(0.2 * 1.15)
    assert grown.bottom - grown.top == pytest.approx(0.4 * 1.15)
    assert (grown.left + grown.right) / 2 == pytest.approx(0.5)
    assert (grown.top + grown.bottom) / 2 == pytest.approx(0.4)


def test_at_the_border_a_box_is_clipped_and_not_moved() -> None:
    grown = Box(0.0, 0.2, 0.9, 1.0).expanded()
    assert (grown.left, grown.bottom) == (0.0, 1.0)
    assert (grown.right, grown.top) == pytest.approx((0.215, 0.8925))


@given(boxes(), st.floats(0, 2))
def test_a_grown_box_holds_the_box_and_stays_in_the_image(box: Box, fraction: float) -> None:
    grown = box.expanded(fraction)
    assert 0 <= grown.left <= box.left < box.right <= grown.right <= 1
    assert 0 <= grown.top <= box.top < box.bottom <= grown.bottom <= 1


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        (Box(0.0, 1.0, 0.0, 1.0), (640, 480), PixelBox(0, 640, 0, 480)),
        (Box(0.25, 0.5, 0.5, 0.75), (100, 200), PixelBox(25, 50, 100, 150)),
        (Box(0.251, 0.499, 0.5, 0.75), (100, 200), PixelBox(25, 50, 100, 150)),
        (Box(0.999, 1.0, 0.999, 1.0), (10, 10), PixelBox(9, 10, 9, 10)),
    ],
)
def test_pixels_are_the_smallest_whole_ones_that_hold_the_box(
    box: Box, size: tuple[int, int], expected: PixelBox
) -> None:
    assert box.pixels(*size) == expected


@given(boxes(), st.integers(1, 5000), st.integers(1, 5000))
def test_pixels_hold_the_box_and_stay_in_the_image(box: Box, width: int, height: int) -> None:
    pixels = box.pixels(width, height)
    assert 0 <= pixels.left <= box.left * width
    assert box.right * width <= pixels.right <= width
    assert 0 <= pixels.top <= box.top * height
    assert box.bottom * height <= pixels.bottom <= height


@given(boxes())
def test_a_box_overlaps_itself_wholly(box: Box) -> None:
    assert box.overlap(box) == pytest.approx(1)


@given(boxes(), boxes())
def test_overlap_is_a_share_and_the_same_both_ways(one: Box, other: Box) -> None:
    assert 0 <= one.overlap(other) <= 1 + 1e-9
    assert one.overlap(other) == pytest.approx(other.overlap(one))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Box(0.5, 0.7, 0.0, 0.2), 0),
        (Box(0.2, 0.4, 0.0, 0.2), 0),
        (Box(0.1, 0.3, 0.0, 0.2), 1 / 3),
        (Box(0.0, 0.1, 0.0, 0.1), 1 / 4),
    ],
)
def test_overlap_is_intersection_over_union(other: Box, expected: float) -> None:
    assert Box(0.0, 0.2, 0.0, 0.2).overlap(other) == pytest.approx(expected)


def test_a_box_without_area_overlaps_nothing_not_even_itself() -> None:
    line = Box(0.5, 0.5, 0.1, 0.9)
    assert line.overlap(line) == 0.0
