"""How fast faces are verified, stage by stage, on one core: python benchmarks/faces.py [--images DIR --boxes CSV].

Photographs from packages, scaled to 1024 pixels, baseline and progressive; or a folder of one's own, with a CSV of
``file,left,right,top,bottom`` (fractions, no header). The same work in other ways is timed in turn with ours, and of
each detector it is told how many faces it finds in the boxes and in as many boxes elsewhere, on the folder and on the
packages' photographs changed in many ways. What storage takes is measured by running the step (face_step.py).
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks import face_sets, face_step
from benchmarks.boxed_photographs import Photograph, boxed_photographs
from components.faces import detectors
from components.faces.detectors.yunet import INPUT_SIDE, WEIGHTS
from components.faces.geometry import crop_place, cut, reduced
from components.faces.parameters import Parameters, known_detectors
from components.faces.verification import WantedFace, verify_image
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, decode, encode_jpeg, upright

CRITERIA = Parameters("none", "train", min_confidence=0.7)
SIDE = 1024
STAGES = ("decode", "crop", "resize", "network", "encode")
PEOPLE = ("astronaut", "camera")
SCENES = ("chelsea", "coffee")
# Faces in the pictures as packaged, and boxes in those without: left, right, top, bottom, fractions.
BOXES = {
    "astronaut": Box(0.348, 0.523, 0.123, 0.344),
    "camera": Box(0.383, 0.502, 0.221, 0.379),
    "chelsea": Box(0.25, 0.65, 0.2, 0.75),
    "coffee": Box(0.25, 0.65, 0.2, 0.75),
}

WHOLE = Box(0.0, 1.0, 0.0, 1.0)


def packaged_pixels(name: str) -> RGB:
    """A photograph that a package carries."""
    import skimage.data

    source: Any = skimage.data
    return np.asarray(Image.fromarray(getattr(source, name)()).convert("RGB"))


def packaged(progressive: bool, names: Sequence[str] = tuple(BOXES)) -> list[Photograph]:
    """The packages' photographs, SIDE pixels on the longer side, as JPEG."""
    photographs = []
    for name in names:
        image = Image.fromarray(packaged_pixels(name))
        scale = SIDE / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88, progressive=progressive)
        photographs.append(Photograph(buffer.getvalue(), (BOXES[name],)))
    return photographs


def milliseconds(work: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median CPU time of each piece of work, all of them in turn, so that a busy machine spoils none of them."""
    taken: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for piece, times in zip(work, taken, strict=True):
            start = time.process_time()
            piece()
            times.append(1000 * (time.process_time() - start))
    return [statistics.median(times) for times in taken]


class Plain:
    """The same work as it is usually written, without looking at what the bytes are or whether they are whole."""

    def __init__(self) -> None:
        self._yunet = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (160, 160), 0.4, 0.3, 50)

    def cv2(self, data: bytes, boxes: Sequence[Box]) -> None:
        """cv2's decoder and encoder."""
        bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for crop in self._crops(bgr, boxes):
            self._find(crop, 160)
            cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])

    def pillow(self, data: bytes, boxes: Sequence[Box]) -> None:
        """Pillow's decoder and encoder."""
        rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        for crop in self._crops(rgb, boxes):
            self._find(np.ascontiguousarray(crop[..., ::-1]), 160)
            Image.fromarray(crop).save(io.BytesIO(), "JPEG", quality=95)

    def recipe(self, data: bytes, boxes: Sequence[Box]) -> None:
        """As the published recipe: the detector looks at the whole picture."""
        bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        self._find(bgr, max(bgr.shape))
        for crop in self._crops(bgr, boxes):
            cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])

    def _crops(self, picture: Any, boxes: Sequence[Box]) -> list[Any]:
        places = [box.expanded().pixels(picture.shape[1], picture.shape[0]) for box in boxes]
        return [picture[place.top : place.bottom, place.left : place.right].copy() for place in places]

    def _find(self, bgr: Any, side: int) -> None:
        scale = side / max(bgr.shape[:2])
        size = (max(64, round(bgr.shape[1] * scale)), max(64, round(bgr.shape[0] * scale)))
        self._yunet.setInputSize(size)
        self._yunet.detect(cv2.resize(bgr, size))


def measure(photographs: Sequence[Photograph], rounds: int) -> None:
    """Print what each stage takes, and the same work done in other ways."""
    detector, plain = detectors.load("yunet"), Plain()
    sums = dict.fromkeys((*STAGES, "ours", "recipe", "Pillow", "cv2"), 0.0)
    accepted = faces = 0
    for photograph in photographs:
        data, boxes = photograph.data, photograph.boxes
        picture = decode(data, CRITERIA.max_pixels)
        rgb = upright(picture.rgb, picture.orientation)
        places = [crop_place(box, CRITERIA.margin, CRITERIA.crop, rgb.shape[1], rgb.shape[0]) for box in boxes]
        crops = [cut(rgb, place) for place in places]
        wanted = [WantedFace(str(n), "image", box, "crop.jpg") for n, box in enumerate(boxes)]
        verdicts = verify_image(data, wanted, CRITERIA, detector)
        kept = [crop for crop, verdict in zip(crops, verdicts, strict=True) if verdict.crop]
        accepted += len(kept)
        faces += len(verdicts)
        work: list[Callable[[], object]] = [
            partial(decode, data, CRITERIA.max_pixels),
            lambda rgb=rgb, places=places: [cut(rgb, place) for place in places],  # type: ignore[misc]
            lambda crops=crops: [resized(crop) for crop in crops],  # type: ignore[misc]
            lambda crops=crops: [detector.find(crop, WHOLE) for crop in crops],  # type: ignore[misc]
            lambda kept=kept: [encode_jpeg(crop, CRITERIA.crop_quality) for crop in kept],  # type: ignore[misc]
            partial(verify_image, data, wanted, CRITERIA, detector),
            partial(plain.recipe, data, boxes),
            partial(plain.pillow, data, boxes),
            partial(plain.cv2, data, boxes),
        ]
        for name, value in zip(sums, milliseconds(work, rounds), strict=True):
            sums[name] += value / len(photographs)
    sums["network"] -= sums["resize"]
    print(
        f"{len(photographs)} images, {faces} boxes, {accepted} {FaceOutcome.OK}; CPU ms of one core, median of {rounds}"
    )
    for stage in STAGES:
        print(f"  {stage:8}{sums[stage]:8.2f} ms an image {100 * sums[stage] / sums['ours']:5.0f} %")
    print(f"  {'all':8}{sums['ours']:8.2f} ms an image, {1000 / sums['ours']:.0f} images a second and core")
    for name, what in (
        ("recipe", "cv2, YuNet on the whole picture"),
        ("Pillow", "Pillow, YuNet on the crop"),
        ("cv2", "cv2, YuNet on the crop"),
    ):
        print(f"  {what}: {sums[name]:.2f} ms, {sums[name] / sums['ours']:.2f} times ours")


def resized(crop: RGB) -> RGB:
    """The crop as YuNet gets it."""
    scale = INPUT_SIDE / max(crop.shape[:2])
    return reduced(crop, max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))


def large() -> None:
    """Print peak memory and CPU time of a 12,000 x 9,000 JPEG with one small box."""
    image = Image.fromarray(packaged_pixels("astronaut")).resize((12_000, 9_000))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    del image
    detector = detectors.load("yunet")
    wanted = [WantedFace("0", "image", BOXES["astronaut"], "crop.jpg")]
    before = peak_memory(reset=True)
    start = time.process_time()
    criteria = replace(CRITERIA, max_pixels=108_000_000)
    [verdict] = verify_image(buffer.getvalue(), wanted, criteria, detector)
    spent = time.process_time() - start
    print(
        f"12,000 x 9,000 JPEG: {verdict.face.outcome}, {peak_memory() - before:.0f} MB more, {spent:.2f} s of CPU time"
    )


def peak_memory(*, reset: bool = False) -> float:
    """The most memory this process has had since it was reset, in MB (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of photographs")
    parser.add_argument("--boxes", type=Path, help="CSV of file,left,right,top,bottom")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--weights", default="", help="folder of the weights of detectors that need them")
    options = parser.parse_args(arguments)
    if (options.images is None) != (options.boxes is None):
        parser.error("--images and --boxes go together")
    cv2.setNumThreads(1)
    if options.images is not None:
        try:
            photographs = boxed_photographs(options.images, options.boxes)
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        of_user(photographs, str(options.images), options.rounds, options.weights)
    for names, what in ((PEOPLE, "with a face"), (SCENES, "without")):
        for progressive in (False, True):
            print(f"packaged photographs {what} at {SIDE} px, {'progressive' if progressive else 'baseline'}")
            measure(packaged(progressive, names), options.rounds)
    large()
    face_step.main([])
    print("the packages' photographs, changed")
    face_sets.compare(face_sets.packaged(), known_detectors(), options.weights)
    return 0


def of_user(photographs: Sequence[Photograph], name: str, rounds: int, weights: str) -> None:
    """Print the same of a user's photographs."""
    print(name)
    measure(photographs, rounds)
    decoded = [decode(photograph.data, CRITERIA.max_pixels) for photograph in photographs]
    views = [upright(picture.rgb, picture.orientation) for picture in decoded]
    pairs = zip(views, (photograph.boxes for photograph in photographs), strict=True)
    face_sets.compare({name: face_sets.of_photographs(pairs)}, known_detectors(), weights)


if __name__ == "__main__":
    sys.exit(main())
