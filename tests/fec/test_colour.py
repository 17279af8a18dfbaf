"""Profiles to sRGB."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from fec.colour import to_srgb
from fec.pixels import RGB, decode
from tests.fec.profiles import WIDE, rgb_profile


@pytest.fixture(scope="module")
def colours() -> RGB:
    return np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype=np.uint8)


def test_a_wide_profile_is_turned_into_srgb() -> None:
    grey, green = [[[128, 128, 128]]], [[[100, 180, 100]]]
    assert np.abs(to_srgb(np.array(grey, np.uint8), rgb_profile()).astype(int) - 128).max() <= 2
    red_of, green_of, blue_of = to_srgb(np.array(green, np.uint8), rgb_profile())[0, 0].tolist()
    assert red_of < 60 and abs(green_of - 181) <= 2 and 90 <= blue_of <= 100  # more saturated than its numbers


def test_srgb_by_any_name_leaves_the_pixels_alone(colours: RGB) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert to_srgb(colours, profile) is colours
    assert to_srgb(colours, b"") is colours


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.95])
def test_a_broken_profile_leaves_the_pixels_alone(cut: float, colours: RGB) -> None:
    assert to_srgb(colours, rgb_profile()[: int(cut * len(rgb_profile()))]) is colours


def test_a_profile_of_another_colour_space_leaves_the_pixels_alone(colours: RGB) -> None:
    assert to_srgb(colours, rgb_profile().replace(b"RGB ", b"GRAY")) is colours
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert to_srgb(colours, lab) is colours


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_profile_of_a_picture_is_found_in_every_format(format: str, colours: RGB) -> None:
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, format, icc_profile=rgb_profile())
    assert decode(buffer.getvalue(), 10_000).icc == rgb_profile()


def test_a_profile_in_several_segments_of_a_jpeg_is_put_together(colours: RGB) -> None:
    buffer = io.BytesIO()
    large = rgb_profile(WIDE) + bytes(100_000)
    Image.fromarray(colours).save(buffer, "JPEG", icc_profile=large)
    assert decode(buffer.getvalue(), 10_000).icc == large
