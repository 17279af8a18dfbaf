"""How fast faces are verified, stage by stage, on one core: python benchmarks/faces.py [--images DIR --boxes CSV].

Photographs from packages, scaled to 1024 pixels, baseline and progressive; or a folder of one's own, with a CSV of
``file,left,right,top,bottom`` (fractions, no header). Plain Pillow decodes the same files in turn with us.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from components.faces import detectors
from components.faces.verification import Criteria, WantedFace, verify_image
from fec.boxes import Box
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, TooManyPixels, Unreadable, decode, encode_jpeg, upright

CRITERIA = Criteria(min_confidence=0.7, max_pixels=100_000_000, min_crop_size=16, crop_quality=95)
SIDE = 1024
# Faces in the pictures as packaged, and boxes in those without: left, right, top, bottom, fractions.
BOXES = {
    "astronaut": Box(0.348, 0.523, 0.123, 0.344),
    "camera": Box(0.383, 0.502, 0.221, 0.379),
    "chelsea": Box(0.25, 0.65, 0.2, 0.75),
    "coffee": Box(0.25, 0.65, 0.2, 0.75),
}


@dataclass(frozen=True)
class Photograph:
    data: bytes
    boxes: tuple[Box, ...]


def packaged() -> list[Photograph]:
    """The packages' photographs, SIDE pixels on the longer side, each as baseline and as progressive JPEG."""
    import skimage.data

    source: Any = skimage.data
    photographs = []
    for name, box in BOXES.items():
        image = Image.fromarray(getattr(source, name)()).convert("RGB")
        scale = SIDE / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        for progressive in (False, True):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=88, progressive=progressive)
            photographs.append(Photograph(buffer.getvalue(), (box,)))
    return photographs


def own(images: Path, boxes: Path) -> list[Photograph]:
    """The files of a folder that the CSV names; says which it leaves out, and why."""
    by_file: dict[str, list[Box]] = {}
    with boxes.open(newline="") as file:
        for row in csv.reader(file):
            by_file.setdefault(row[0], []).append(Box(*(float(value) for value in row[1:5])))
    photographs = []
    for name, faces in by_file.items():
        try:
            data = (images / name).read_bytes()
            decode(data, CRITERIA.max_pixels)
        except (OSError, Unreadable, TooManyPixels) as error:
            print(f"left out: {name}: {error}")
            continue
        photographs.append(Photograph(data, tuple(faces)))
    return photographs


def pillow(data: bytes) -> RGB:
    """Decoding as it is usually written."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def milliseconds(work: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median time of each piece of work, all of them in turn, so that a busy machine spoils all alike."""
    taken: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for piece, times in zip(work, taken, strict=True):
            start = time.perf_counter()
            piece()
            times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]


def measure(photographs: Sequence[Photograph], rounds: int) -> None:
    detector = detectors.load("yunet")
    sums = dict.fromkeys(("decode", "crop", "verify", "encode", "all", "Pillow decode"), 0.0)
    accepted = faces = 0
    for photograph in photographs:
        picture = decode(photograph.data, CRITERIA.max_pixels)
        rgb = upright(picture.rgb, picture.orientation)
        places = [box.expanded().pixels(rgb.shape[1], rgb.shape[0]) for box in photograph.boxes]
        crops = [rgb[place.top : place.bottom, place.left : place.right].copy() for place in places]
        wanted = [WantedFace(str(n), "image", box, "crop.jpg") for n, box in enumerate(photograph.boxes)]

        def all_of_it(data: bytes = photograph.data, wanted: list[WantedFace] = wanted) -> object:
            return verify_image(data, wanted, CRITERIA, detector)

        verdicts = verify_image(photograph.data, wanted, CRITERIA, detector)
        kept = [crop for crop, verdict in zip(crops, verdicts, strict=True) if verdict.crop]
        accepted += len(kept)
        faces += len(verdicts)
        times = milliseconds(
            [
                lambda data=photograph.data: decode(data, CRITERIA.max_pixels),  # type: ignore[misc]
                lambda rgb=rgb, places=places: [rgb[p.top : p.bottom, p.left : p.right].copy() for p in places],  # type: ignore[misc]
                lambda crops=crops: [detector.find(crop) for crop in crops],  # type: ignore[misc]
                lambda kept=kept: [encode_jpeg(crop, CRITERIA.crop_quality) for crop in kept],  # type: ignore[misc]
                all_of_it,
                lambda data=photograph.data: pillow(data),  # type: ignore[misc]
            ],
            rounds,
        )
        for name, value in zip(sums, times, strict=True):
            sums[name] += value / len(photographs)
    print(f"{len(photographs)} images, {faces} boxes, {accepted} {FaceOutcome.OK}; one core, median of {rounds}")
    for stage in ("decode", "crop", "verify", "encode"):
        print(f"  {stage:8}{sums[stage]:8.2f} ms an image {100 * sums[stage] / sums['all']:5.0f} %")
    print(f"  {'all':8}{sums['all']:8.2f} ms an image, {1000 / sums['all']:.0f} images/s a core")
    ratio = sums["Pillow decode"] / sums["decode"]
    print(f"  Pillow's decoding takes {sums['Pillow decode']:.2f} ms: {ratio:.2f} times ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of photographs")
    parser.add_argument("--boxes", type=Path, help="CSV of file,left,right,top,bottom")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"packaged photographs at {SIDE} px")
    measure(packaged(), options.rounds)
    if options.images is None or options.boxes is None:
        print("no --images and --boxes given: a folder of your own is skipped")
        return
    photographs = own(options.images, options.boxes)
    if not photographs:
        print(f"{options.boxes} names no image that can be decoded below {options.images}: skipped")
        return
    print(str(options.images))
    measure(photographs, options.rounds)


if __name__ == "__main__":
    main()
