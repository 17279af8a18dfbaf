"""How fast training and evaluation are, beside the plain ways of doing them: python benchmarks/train.py.

Records of pieces of packaged photographs, so that speed can be measured without the data set. What is compared is
done in turn, round after round, and the median of the process's CPU time counts, of all its threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.evaluate.embedding import embedded
from components.train.augmentation import STRENGTHS, augmented
from components.train.devices import devices
from components.train.examples import read_examples
from components.train.input_pipeline import Faces, batches, batches_of_shared_faces
from components.train.models import MODELS, Shape, Triplets
from components.train.parameters import BACKBONES, Parameters
from components.train.sampling import order
from components.train.sharing import shared_batches
from components.train.steps import stepper
from fec import layout
from fec.cores import available_cores
from fec.record_files import RecordFiles
from fec.records import IMAGES, TripletExample, TripletReader, frame, read_frames
from fec.storage import Storage, open_storage

BATCH = 30
# Of a batch of shared faces: half of those that a plain one embeds.
SHARED_FACES = 45
# Triplets that use a face, in FEC: 3 x 500,000 / 156,000.
USES = 9.6
FEC_TRIPLETS, FEC_FACES = 500_000, 156_000


class ThreeCalls(Triplets):
    """The network called for each of the three faces: what is compared with one call."""

    def call(self, faces: Any, places: Any = None, training: bool = False) -> Any:
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
    """Median CPU seconds of each way, called in turn ``rounds`` times after a first call that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def streamed(way: Callable[[], object], batches: int) -> float:
    """CPU seconds of a batch, what is made ahead included, over so many after a first that does not count."""
    way()
    start = time.process_time()
    for _ in range(batches):
        way()
    return (time.process_time() - start) / batches


def stepping(kind: type[Triplets], model: str, size: int, batch: Callable[[], Any]) -> Callable[[], object]:
    """One training step on what ``batch`` gives."""
    keras.utils.set_random_seed(0)
    triplets = kind(MODELS[model](Shape(size, backbone=BACKBONES.get(model, ""))))
    triplets.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    triplets.optimizer.build(triplets.trainable_variables)
    parameters = Parameters(root="", model=model, batch_size=BATCH)
    step = stepper(triplets, parameters, devices(parameters))
    return lambda: np.asarray(step(*batch()))


def plain_input(path: Path, size: int) -> Callable[[], Any]:
    """Batches as a plain pipeline makes them: each triplet read from its record, its three faces decoded."""
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in IMAGES}

    def faces(payload: Any) -> Any:
        example = tf.io.parse_single_example(payload, features)
        return tf.stack([tf.io.decode_jpeg(example[name], channels=3) for name in IMAGES])

    data = (
        tf.data.TFRecordDataset(str(path)).repeat().map(faces, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    strength = STRENGTHS["strong"]
    assert strength is not None
    seed = tf.constant([0, 0], tf.int64)

    def changed(pixels: Any) -> Any:
        flat = tf.ensure_shape(tf.reshape(tf.cast(pixels, tf.float32), (-1, size, size, 3)), (None, size, size, 3))
        return augmented(flat, strength, seed)

    batched = iter(data.batch(BATCH, drop_remainder=True).map(changed).prefetch(2))
    return lambda: next(batched)


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
            example = TripletReader(payload)
            for place in range(len(IMAGES)):
                rgb = cv2.imdecode(np.frombuffer(example.image(place), np.uint8), cv2.IMREAD_COLOR_RGB)
                waiting.append(np.asarray(rgb, np.float32))
                if len(waiting) == batch_size:
                    embed()
            count += 1
    embed()
    return count


def in_a_batch(used: NDArray[np.int32], rows: NDArray[np.int32]) -> float:
    """How many triplets, on average, a batch of SHARED_FACES faces has, of BATCH at the most."""
    made = shared_batches(used, map(int, rows.flat), BATCH, SHARED_FACES)
    return statistics.mean(batch.distinct for batch in islice(made, 100))


def training(files: RecordFiles, root: Storage, path: Path, model: str, rounds: int) -> None:
    """Print how many triplets a CPU second each way of training, and of making its input, gets through."""
    size = files.image_size
    examples = read_examples(root, files)
    rows = order(examples.labels[:, 1], 8 * rounds + 200, BATCH, 4.0, seed=0)
    pixels = Faces(examples.jpegs, size)

    def plain(seed: int) -> Callable[[], Any]:
        data = iter(batches(examples, pixels, rows, "strong", seed))
        return lambda: next(data)

    def shared(seed: int) -> Callable[[], Any]:
        data = iter(batches_of_shared_faces(examples, pixels, rows, SHARED_FACES, "strong", seed))
        return lambda: next(data)

    same, same_shared = plain(0)(), shared(0)()
    ways: dict[str, Callable[[], object]] = {
        "step alone, one call": stepping(Triplets, model, size, lambda: same),
        "step alone, three calls": stepping(ThreeCalls, model, size, lambda: same),
        "step alone, shared faces": stepping(Triplets, model, size, lambda: same_shared),
    }
    steps = in_turn(ways, rounds)
    # One after the other: what is made ahead in other threads would count as what runs meanwhile.
    steps["step with its input"] = streamed(stepping(Triplets, model, size, plain(1)), rounds)
    steps["step with its input, shared"] = streamed(stepping(Triplets, model, size, shared(1)), rounds)
    steps["input alone, faces decoded once"] = streamed(plain(2), len(rows) // 2)
    steps["input alone, shared faces"] = streamed(shared(2), len(rows) // 2)
    steps["input alone, triplet by triplet"] = streamed(plain_input(path, size), len(rows) // 2)
    here = in_a_batch(examples.faces, rows)
    print(f"triplets a CPU second; {here:.1f} triplets share {SHARED_FACES} faces")
    for what, took in steps.items():
        print(f"{what:<32} {(here if 'shared' in what else BATCH) / took:10,.0f}")
    one, three, few, *_ = steps.values()
    print(f"one call is {three / one:.2f} times as fast as three")
    print(f"a step of {SHARED_FACES} faces takes {few / one:.2f} times what one of {3 * BATCH} takes")
    once_decoded, by_triplet = (steps[f"input alone, {way}"] for way in ("faces decoded once", "triplet by triplet"))
    print(f"faces decoded once are {by_triplet / once_decoded:.2f} times as fast as triplet by triplet")
    chance = np.random.default_rng(0)
    as_fec = chance.integers(0, FEC_FACES, (FEC_TRIPLETS, 3)).astype(np.int32)
    there = in_a_batch(as_fec, chance.permutation(FEC_TRIPLETS).astype(np.int32))
    print(
        f"of as many triplets as FEC has, of faces drawn at random, {there:.1f} share {SHARED_FACES} faces: "
        f"{there * one / (BATCH * few):.2f} times the triplets a CPU second"
    )


def evaluation(files: RecordFiles, root: Storage, path: Path, model: str, rounds: int) -> None:
    """Print how many triplets a CPU second are evaluated."""
    network = MODELS[model](Shape(files.image_size, backbone=BACKBONES.get(model, "")))
    ways: dict[str, Callable[[], object]] = {
        "each face once": lambda: embedded(root, files, network, 256),
        "every triplet's faces": lambda: per_triplet(network, path, 256),
    }
    seconds = in_turn(ways, rounds)
    for what, took in seconds.items():
        print(f"evaluation, {what:<20} {files.triplets / took:10,.0f}")
    once, always = seconds.values()
    print(f"each face once is {always / once:.1f} times as fast, a face being in {USES} triplets")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of what is compared (default: 15)")
    parser.add_argument("--triplets", type=int, default=3000, help="triplets to evaluate (default: 3000)")
    parser.add_argument("--model", choices=sorted(MODELS), default="tiny", help="the network (default: tiny)")
    parser.add_argument("--image-size", type=int, default=64, help="side of the faces, pixels (default: 64)")
    parser.add_argument("--only", choices=("training", "evaluation"), help="one of the two (default: both)")
    options = parser.parse_args()
    size, model = options.image_size, options.model
    with tempfile.TemporaryDirectory() as folder:
        root = open_storage(folder)
        name = layout.record_file(layout.EVAL, 0, 1)
        path = Path(folder, name)
        path.parent.mkdir()
        write_records(path, options.triplets, size)
        print(f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}; {model}, {size} px, {BATCH} triplets a batch")
        files = RecordFiles((name,), ("",), size, options.triplets)
        if options.only != "evaluation":
            training(files, root, path, model, options.rounds)
        if options.only != "training":
            evaluation(files, root, path, model, min(5, options.rounds))


if __name__ == "__main__":
    main()
