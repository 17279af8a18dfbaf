"""How many faces each detector finds, and how many other pictures it takes for one: on photographs and boxes of a user,
and on the packages' photographs changed as pictures on the web are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from components.faces import detectors
from components.faces.detectors import Detector
from components.faces.geometry import crop_place, cut, within
from components.faces.judging import judge
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, decode, encode_jpeg

MARGIN: Final = 0.15
MIN_SIDE: Final = 16
# The faces in the packages' photographs: left, right, top, bottom, fractions.
FACES: Final = {
    "astronaut": Box(0.348, 0.523, 0.123, 0.344),
    "camera": Box(0.383, 0.502, 0.221, 0.379),
    "hopper": Box(0.357, 0.689, 0.200, 0.553),
}
SCENES: Final = ("chelsea", "coffee", "rocket", "coins", "brick", "text")


@dataclass(frozen=True)
class Sample:
    """A picture, a box in it, and whether there is a face in the box."""

    rgb: RGB
    box: Box
    face: bool


def photograph(name: str) -> RGB:
    """A photograph that a package carries."""
    import matplotlib.cbook
    import skimage.data

    if name == "hopper":
        with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
            return np.asarray(image.convert("RGB"))
    source: Any = skimage.data
    return np.asarray(Image.fromarray(getattr(source, name)()).convert("RGB"))


def _scaled(factor: float) -> Callable[[RGB, Box], RGB]:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return lambda rgb, box: np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def _encoded(quality: int) -> Callable[[RGB, Box], RGB]:
    return lambda rgb, box: decode(encode_jpeg(rgb, quality), 10**8).rgb


def _lit(gain: float, offset: float) -> Callable[[RGB, Box], RGB]:
    return lambda rgb, box: np.asarray(cv2.convertScaleAbs(rgb, alpha=gain, beta=offset), np.uint8)


def _grey(rgb: RGB, box: Box) -> RGB:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2).astype(np.uint8)


def _blurred(rgb: RGB, box: Box) -> RGB:
    sigma = 0.02 * (box.right - box.left) * rgb.shape[1]
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def _turned(degrees: float) -> Callable[[RGB, Box], RGB]:
    def change(rgb: RGB, box: Box) -> RGB:
        height, width = rgb.shape[:2]
        middle = (box.left + box.right) / 2 * width, (box.top + box.bottom) / 2 * height
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
        return np.asarray(cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    return change


CHANGES: Final[dict[str, Callable[[RGB, Box], RGB]]] = {
    "as packaged": lambda rgb, box: rgb,
    "half as large": _scaled(0.5),
    "a quarter": _scaled(0.25),
    "twice as large": _scaled(2),
    "JPEG quality 30": _encoded(30),
    "JPEG quality 10": _encoded(10),
    "grey": _grey,
    "light": _lit(1.3, 40),
    "dark": _lit(0.35, 0),
    "blurred": _blurred,
    "turned by 15": _turned(15),
    "turned by -30": _turned(-30),
    "turned by 60": _turned(60),
}


def elsewhere(box: Box) -> Box:
    """A box of the same size in the corner that is farthest away."""
    width, height = box.right - box.left, box.bottom - box.top
    left = 0.0 if box.left + box.right > 1 else 1 - width
    top = 0.0 if box.top + box.bottom > 1 else 1 - height
    return Box(left, left + width, top, top + height)


def packaged() -> dict[str, list[Sample]]:
    """By change: the three faces and their mirror images, as many boxes elsewhere, and nine boxes a scene."""
    people = [(photograph(name), box) for name, box in FACES.items()]
    people += [
        (np.ascontiguousarray(rgb[:, ::-1]), Box(1 - box.right, 1 - box.left, box.top, box.bottom))
        for rgb, box in people
    ]
    grid = [Box(x / 3, x / 3 + 0.3, y / 3, y / 3 + 0.3) for x in range(3) for y in range(3)]
    scenes = [photograph(name) for name in SCENES]
    found: dict[str, list[Sample]] = {}
    for name, change in CHANGES.items():
        samples = [Sample(change(rgb, box), box, True) for rgb, box in people]
        samples += [Sample(sample.rgb, elsewhere(sample.box), False) for sample in samples]
        samples += [Sample(change(rgb, grid[4]), box, False) for rgb in scenes for box in grid]
        found[name] = samples
    return found


def of_photographs(photographs: Iterable[tuple[RGB, Sequence[Box]]]) -> list[Sample]:
    """A user's boxes, and for each one elsewhere that touches no other of the picture."""
    samples = []
    for rgb, boxes in photographs:
        for box in boxes:
            samples.append(Sample(rgb, box, True))
            away = elsewhere(box)
            if all(away.overlap(other) == 0 for other in boxes):
                samples.append(Sample(rgb, away, False))
    return samples


def compare(sets: dict[str, list[Sample]], names: Sequence[str], weights: str) -> None:
    """Print, for each detector and set, how many faces it finds, how many others it takes for one, its cost a crop."""
    for name in names:
        try:
            detector = detectors.load(name, weights)
        except ConfigurationError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name} at {detector.threshold}:  faces found   others taken   CPU ms a crop")
        whole = np.zeros(5)
        for what, samples in sets.items():
            counts = np.array(list(_counts(samples, detector))).sum(axis=0)
            whole += counts
            print(_line(what, counts))
        if len(sets) > 1:
            print(_line("all", whole))


def _counts(samples: Iterable[Sample], detector: Detector) -> Iterator[tuple[int, int, int, int, float]]:
    """Of each crop that is large enough: face, face and found, no face, no face and taken, ms."""
    for sample in samples:
        height, width = sample.rgb.shape[:2]
        place = crop_place(sample.box, MARGIN, "box", width, height)
        if min(place.width, place.height) < MIN_SIDE:
            continue
        crop, expected = cut(sample.rgb, place), within(sample.box, place, width, height)
        start = time.process_time()
        found = detector.find(crop, expected)
        spent = 1000 * (time.process_time() - start)
        good = judge(found, expected, detector.threshold)[0] is FaceOutcome.OK
        face = sample.face
        yield face, face and good, not face, not face and good, spent


def _line(what: str, counts: Any) -> str:
    faces, found, others, taken, spent = counts
    each = spent / max(1, faces + others)
    return f"  {what:16}{found:4.0f} of {faces:4.0f}   {taken:4.0f} of {others:4.0f}   {each:8.2f}"
