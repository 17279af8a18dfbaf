"""How fast training and evaluation are, beside the plain ways of doing them: python benchmarks/train.py.

Records of pieces of packaged photographs, so that speed can be measured without the data set. What is compared is
timed in turn, round after round, and the median counts: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np

from components.evaluate.embedding import embedded
from components.train.devices import devices
from components.train.examples import read_examples
from components.train.input_pipeline import Faces, batches
from components.train.models import MODELS, Shape, Triplets
from components.train.parameters import Parameters
from components.train.sampling import order
from components.train.steps import stepper
from fec import layout
from fec.cores import available_cores
from fec.record_files import RecordFiles
from fec.records import IMAGES, TripletExample, decode_example, frame, read_frames
from fec.storage import open_storage

BATCH = 30
# Triplets that use a face, in FEC: 3 x 500,000 / 156,000.
USES = 9.6


class ThreeCalls(Triplets):
    """The network called for each of the three faces: what is compared with one call."""

    def call(self, faces: Any, training: bool = False) -> Any:
        return keras.ops.stack([self.network(faces[:, place], training=training) for place in range(3)], axis=1)


def write_records(path: Path, triplets: int, size: int) -> None:
    """A record file of ``triplets`` triplets of faces of ``size`` pixels, a face used USES times on average."""
    import skimage.data

    source: Any = skimage.data
    photographs = [getattr(source, name)() for name in ("astronaut", "chelsea", "coffee")]
    chance = np.random.default_rng(0)
    faces = []
    for _ in range(max(3, round(3 * triplets / USES))):
        photograph = photographs[chance.integers(3)]
        top, left = (chance.integers(side - size) for side in photograph.shape[:2])
        piece = photograph[top : top + size, left : left + size, ::-1]
        faces.append(bytes(cv2.imencode(".jpg", piece, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]))
    with path.open("wb") as file:
        for number in range(triplets):
            a, b, c = (int(place) for place in chance.choice(len(faces), 3, replace=False))
            example = TripletExample(
                (faces[a], faces[b], faces[c]),
                (f"{a:016x}", f"{b:016x}", f"{c:016x}"),
                number % 3 + 1,
                number % 3 + 1,
                [1],
            )
            file.write(frame(example.encode()))


def in_turn(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, called in turn ``rounds`` times after a first call that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def stepping(kind: type[Triplets], model: str, size: int, faces: Any, labels: Any) -> Callable[[], object]:
    """One training step on the same batch, again and again."""
    keras.utils.set_random_seed(0)
    triplets = kind(MODELS[model](Shape(size)))
    triplets.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    triplets.optimizer.build(triplets.trainable_variables)
    parameters = Parameters(root="", model=model, batch_size=BATCH)
    step = stepper(triplets, parameters, devices(parameters))
    return lambda: np.asarray(step(faces, labels))


def per_triplet(network: Any, path: Path, batch_size: int) -> int:
    """The plain evaluation: every triplet's three faces through the network. How many triplets."""
    count = 0
    waiting: list[Any] = []

    def embed() -> None:
        if waiting:
            network.predict_on_batch(np.stack(waiting))
            waiting.clear()

    with path.open("rb") as file:
        for payload in read_frames(file):
            example: dict[str, Any] = dict(decode_example(payload))
            for image in IMAGES:
                bgr = cv2.imdecode(np.frombuffer(example[image][0], np.uint8), cv2.IMREAD_COLOR)
                waiting.append(np.asarray(bgr, np.float32)[:, :, ::-1])
                if len(waiting) == batch_size:
                    embed()
            count += 1
    embed()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of what is compared (default: 15)")
    parser.add_argument("--triplets", type=int, default=1500, help="triplets to evaluate (default: 1500)")
    parser.add_argument("--model", choices=sorted(MODELS), default="tiny", help="the network (default: tiny)")
    parser.add_argument("--image-size", type=int, default=64, help="side of the faces, pixels (default: 64)")
    options = parser.parse_args()
    size = options.image_size
    with tempfile.TemporaryDirectory() as folder:
        root = open_storage(folder)
        name = layout.record_file(layout.EVAL, 0, 1)
        path = Path(folder, name)
        path.parent.mkdir()
        write_records(path, options.triplets, size)
        model = options.model
        print(f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}; {model}, {size} px, {BATCH} triplets a batch")

        files = RecordFiles((name,), ("",), size, options.triplets)
        examples = read_examples(root, files)
        rows = order(examples.labels[:, 1], 4 * options.rounds + 1, BATCH, 4.0, seed=0)
        data = iter(batches(examples, Faces(examples.jpegs, size), rows, "strong", seed=0))
        faces, labels = next(data)
        steps = in_turn(
            {
                "one call": stepping(Triplets, model, size, faces, labels),
                "three calls": stepping(ThreeCalls, model, size, faces, labels),
            },
            options.rounds,
        )
        for what in ("one call", "three calls"):
            print(f"training, {what:<22} {1 / steps[what]:8.1f} steps/s {BATCH / steps[what]:10,.0f} triplets/s")
        print(f"one call is {steps['three calls'] / steps['one call']:.2f} times as fast as three")

        start = time.perf_counter()
        for _ in range(4 * options.rounds):
            next(data)
        rate = 4 * options.rounds * BATCH / (time.perf_counter() - start)
        print(f"input alone, strong augmentation {rate:27,.0f} triplets/s")

        network = MODELS[model](Shape(size))
        ways: dict[str, Callable[[], object]] = {
            "each face once": lambda: embedded(root, files, network, 256),
            "every triplet's faces": lambda: per_triplet(network, path, 256),
        }
        seconds = in_turn(ways, 3)
        for what, took in seconds.items():
            print(f"evaluation, {what:<22} {options.triplets / took:23,.0f} triplets/s")
        once, always = seconds.values()
        print(f"each face once is {always / once:.1f} times as fast, a face being in {USES} triplets")


if __name__ == "__main__":
    main()
