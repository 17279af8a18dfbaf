"""Photographs of three people with a clean licence, from packages, and as many different pictures of them as wanted.

astronaut (NASA, public domain) and camera (CC0) come with scikit-image, grace_hopper (US Navy, public domain) with
matplotlib. Three faces are few, so each picture is framed, mirrored, lit, blurred, scaled and encoded differently.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from fec.boxes import Box
from fec.errors import ConfigurationError

PEOPLE = ("astronaut", "admiral", "photographer")
# Pictures without a face, all CC0 or public domain, from scikit-image.
SCENES = ("coffee", "cat", "rocket")

_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Photograph:
    """An encoded picture and where its faces are, as a viewer sees it (EXIF orientation applied)."""

    data: bytes
    content_type: str
    extension: str
    people: tuple[str, ...]
    faces: tuple[Box, ...]


# The faces in the pictures as packaged, in pixels: left, right, top, bottom.
_FACE_PIXELS = {"astronaut": (178, 268, 63, 176), "admiral": (183, 353, 120, 332), "photographer": (196, 257, 113, 194)}


@cache
def packaged(name: str) -> Image.Image:
    """One of PEOPLE or SCENES as its package carries it, RGB."""
    try:
        import matplotlib.cbook
        import skimage.data
    except ImportError:
        raise ConfigurationError("the demo's photographs come with packages: pip install 'fec[demo]'") from None
    if name == "admiral":
        with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
            return image.convert("RGB")
    data: dict[str, Callable[[], Any]] = {
        "astronaut": skimage.data.astronaut,
        "photographer": skimage.data.camera,
        "coffee": skimage.data.coffee,
        "cat": skimage.data.chelsea,
        "rocket": skimage.data.rocket,
    }
    return Image.fromarray(data[name]()).convert("RGB")


def portrait(person: str, seed: int) -> Photograph:
    """A picture of one person, different for every ``seed`` and always the same for one."""
    chance = random.Random(f"{person} {seed}")  # noqa: S311 - a picture, not a secret
    image, box = _framed(person, chance)
    return _encoded(_developed(image, chance), (person,), (box,), chance)


def group_portrait(left: str, right: str, seed: int) -> Photograph:
    """Two people side by side: one picture, two faces."""
    chance = random.Random(f"{left} {right} {seed}")  # noqa: S311
    halves = [_framed(person, chance) for person in (left, right)]
    height = 420
    images = [image.resize((round(image.width * height / image.height), height)) for image, _ in halves]
    width = sum(image.width for image in images)
    together = Image.new("RGB", (width, height))
    boxes = []
    start = 0
    for image, (_, box) in zip(images, halves, strict=True):
        together.paste(image, (start, 0))
        boxes.append(
            Box(
                (start + box.left * image.width) / width, (start + box.right * image.width) / width, box.top, box.bottom
            )
        )
        start += image.width
    return _encoded(_developed(together, chance), (left, right), tuple(boxes), chance)


def scene(name: str) -> Photograph:
    """A picture without a face, with a box in its middle where an annotation might claim one."""
    chance = random.Random(name)  # noqa: S311
    return _encoded(packaged(name), (), (Box(0.25, 0.65, 0.2, 0.75),), chance)


def _framed(person: str, chance: random.Random) -> tuple[Image.Image, Box]:
    """Part of the packaged picture around the face, sometimes mirrored, and the face's box in it."""
    image = packaged(person)
    left, right, top, bottom = _FACE_PIXELS[person]
    width, height = right - left, bottom - top
    x0 = max(0, round(left - width * chance.uniform(0.5, 1.6)))
    x1 = min(image.width, round(right + width * chance.uniform(0.5, 1.6)))
    y0 = max(0, round(top - height * chance.uniform(0.3, 0.7)))
    y1 = min(image.height, round(bottom + height * chance.uniform(0.5, 1.5)))
    framed = image.crop((x0, y0, x1, y1))
    box = Box(
        (left - x0) / framed.width,
        (right - x0) / framed.width,
        (top - y0) / framed.height,
        (bottom - y0) / framed.height,
    )
    if chance.random() < 0.5:
        framed = ImageOps.mirror(framed)
        box = Box(1 - box.right, 1 - box.left, box.top, box.bottom)
    return framed, box


def _developed(image: Image.Image, chance: random.Random) -> Image.Image:
    """Another size, light, contrast, colour and sharpness."""
    scale = chance.uniform(360, 800) / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    image = ImageEnhance.Brightness(image).enhance(chance.uniform(0.75, 1.25))
    image = ImageEnhance.Contrast(image).enhance(chance.uniform(0.8, 1.2))
    image = ImageEnhance.Color(image).enhance(chance.uniform(0.4, 1.3))
    return image.filter(ImageFilter.GaussianBlur(chance.uniform(0, 1.2)))


def _encoded(image: Image.Image, people: tuple[str, ...], faces: tuple[Box, ...], chance: random.Random) -> Photograph:
    """One of the encodings found on the web; a camera held sideways is one of them."""
    kind = chance.choices(
        ("jpeg", "progressive", "grey", "sideways", "cmyk", "png", "palette", "webp"), (60, 10, 8, 6, 4, 5, 3, 4)
    )[0]
    buffer = io.BytesIO()
    if kind in ("png", "palette"):
        (image.convert("P", palette=Image.Palette.ADAPTIVE) if kind == "palette" else image).save(buffer, "PNG")
        return Photograph(buffer.getvalue(), "image/png", "png", people, faces)
    if kind == "webp":
        image.save(buffer, "WEBP", quality=85)
        return Photograph(buffer.getvalue(), "image/webp", "webp", people, faces)
    options: dict[str, Any] = {"quality": chance.randint(75, 95), "progressive": kind == "progressive"}
    if kind == "grey":
        image = image.convert("L")
    elif kind == "cmyk":
        image = image.convert("CMYK")
    elif kind == "sideways":
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = 6  # "turn me 90 degrees clockwise to see me upright"
        image = image.transpose(Image.Transpose.ROTATE_90)
        options["exif"] = exif
    image.save(buffer, "JPEG", **options)
    return Photograph(buffer.getvalue(), "image/jpeg", "jpg", people, faces)
