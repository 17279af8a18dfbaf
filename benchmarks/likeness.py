"""In how many of 256 bits the looks of the same and of different pictures differ: python benchmarks/likeness.py.

Photographs from packages, changed as pictures on the web are; parts of them and 100 tightly cut faces (LFW's, in
scikit-image), which all differ. And what looking for the same pictures costs at the size of the FEC list (--scale).
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from benchmarks.faces import BOXES, PEOPLE
from components.collect.likeness import looks, mirrored, nearest, repeated
from components.collect.parameters import MOST_ALIKE
from components.faces.geometry import crop_place, cut
from components.faces.likeness import grey_likeness, likeness, small_grey
from fec.pixels import RGB, decode, encode_jpeg

Look = Callable[[RGB], bytes | None]

SIDE: Final = 1000
PHOTOGRAPHS: Final = (
    "astronaut", "brick", "camera", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip


def photographs() -> dict[str, RGB]:
    """The packages' photographs, SIDE pixels on the longer side."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    source: Any = skimage.data
    found: dict[str, Any] = {name: getattr(source, name)() for name in PHOTOGRAPHS}
    found |= {name: load_sample_image(name) for name in ("china.jpg", "flower.jpg")}
    return {name: scaled(np.asarray(Image.fromarray(rgb).convert("RGB")), SIDE) for name, rgb in found.items()}


def scaled(rgb: RGB, side: float, how: int = cv2.INTER_AREA) -> RGB:
    factor = side / max(rgb.shape[:2])
    size = max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor))
    return np.asarray(cv2.resize(rgb, size, interpolation=how if factor < 1 else cv2.INTER_CUBIC), np.uint8)


def through_jpeg(quality: int) -> Callable[[RGB], RGB]:
    return lambda rgb: decode(encode_jpeg(rgb, quality), 10**8).rgb


def resized(factor: float) -> Callable[[RGB], RGB]:
    return lambda rgb: scaled(rgb, factor * max(rgb.shape[:2]))


def trimmed(share: float) -> Callable[[RGB], RGB]:
    def change(rgb: RGB) -> RGB:
        dy, dx = (round(length * share / 2) for length in rgb.shape[:2])
        return np.ascontiguousarray(rgb[dy : rgb.shape[0] - dy, dx : rgb.shape[1] - dx])

    return change


def lit(gain: float, offset: float) -> Callable[[RGB], RGB]:
    return lambda rgb: np.asarray(cv2.convertScaleAbs(rgb, alpha=gain, beta=offset), np.uint8)


def grey(rgb: RGB) -> RGB:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2).astype(np.uint8)


CHANGES: Final[dict[str, Callable[[RGB], RGB]]] = {
    "JPEG quality 75": through_jpeg(75),
    "JPEG quality 30": through_jpeg(30),
    "JPEG quality 10": through_jpeg(10),
    "half as large": resized(0.5),
    "a third, JPEG 60": lambda rgb: through_jpeg(60)(resized(0.33)(rgb)),
    "an eighth": resized(0.125),
    "twice as large": resized(2),
    "grey": grey,
    "lighter": lit(1.15, 12),
    "less contrast": lit(0.8, 20),
    "cut by 1 %": trimmed(0.01),
    "cut by 2 %": trimmed(0.02),
    "cut by 4 %": trimmed(0.04),
    "cut by 8 %": trimmed(0.08),
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "mirrored, JPEG 30": lambda rgb: through_jpeg(30)(rgb[:, ::-1]),
}


def crop_look(rgb: RGB) -> bytes | None:
    """A crop's look, as the faces step stores it."""
    return grey_likeness(small_grey(rgb))


def bits(some: RGB, other: RGB, look: Look) -> int | None:
    """The bits in which two pictures differ, None if one is too flat."""
    found = look(some), look(other)
    return None if None in found else _apart(*found)


def _apart(some: bytes | None, other: bytes | None) -> int:
    """The bits in which two looks differ, or one and the other's mirror image, as collect compares them."""
    one, two = looks([some or b""]), looks([other or b""])
    return int(min(np.bitwise_count(one ^ seen).sum() for seen in (two, mirrored(two))))


def changed(pictures: Sequence[RGB], what: str, look: Look = likeness) -> None:
    """Print, for each change, how far it moves the pictures."""
    print(f"{what:24}median  most  same ({MOST_ALIKE} bits or fewer)")
    for name, change in CHANGES.items():
        found = [apart for rgb in pictures if (apart := bits(rgb, change(rgb), look)) is not None]
        same = sum(apart <= MOST_ALIKE for apart in found)
        print(f"  {name:20}{statistics.median(found):8.0f}{max(found):6}  {same} of {len(found)}")


def different(pictures: Sequence[RGB], what: str, look: Look = likeness) -> None:
    """Print how near the nearest of different pictures are."""
    known = [found for rgb in pictures if (found := look(rgb)) is not None]
    apart = sorted(_apart(*pair) for pair in combinations(known, 2))
    same, near = sum(one <= MOST_ALIKE for one in apart), ", ".join(map(str, apart[:5]))
    median = apart[len(apart) // 2]
    print(f"{what}: {len(apart):,} pairs, {same} taken for the same; nearest {near}; median {median}")


def parts(pictures: dict[str, RGB]) -> Iterator[RGB]:
    """Each picture and its four quarters."""
    for rgb in pictures.values():
        height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
        yield rgb
        for top in (0, height):
            yield from (np.ascontiguousarray(rgb[top : top + height, left : left + width]) for left in (0, width))


def lfw_faces() -> list[RGB]:
    import skimage.data

    source: Any = skimage.data
    faces = (255 * source.lfw_subset()[:100]).astype(np.uint8)
    return [np.repeat(scaled(face, 100)[..., np.newaxis], 3, axis=2) for face in faces]


def scale(train: int, evaluation: int) -> None:
    """Print what it takes to hold this many looks against each other."""
    chance = np.random.default_rng(0)
    some, others = (looks([chance.bytes(32) for _ in range(count)]) for count in (train, evaluation))
    start = time.process_time()
    nearest(some, others, MOST_ALIKE)
    middle = time.process_time()
    repeated(some, np.arange(train), MOST_ALIKE)
    print(
        f"{train:,} looks against {evaluation:,}: {middle - start:.1f} s of CPU time; "
        f"against each other: {time.process_time() - middle:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", nargs=2, type=int, metavar=("TRAIN", "EVAL"), help="such as 150000 15000")
    options = parser.parse_args()
    if options.scale:
        scale(*options.scale)
        return
    warnings.simplefilter("ignore")
    pictures = photographs()
    crops = []
    for name in PEOPLE:
        rgb = pictures[name]
        crops.append(cut(rgb, crop_place(BOXES[name], 0.15, "box", rgb.shape[1], rgb.shape[0])))
    changed(list(pictures.values()), f"{len(pictures)} photographs")
    changed(crops, f"{len(crops)} faces' crops", crop_look)
    different(list(pictures.values()), "photographs")
    different(list(parts(pictures)), "photographs and quarters of them")
    different(lfw_faces(), "100 faces", crop_look)


if __name__ == "__main__":
    main()
