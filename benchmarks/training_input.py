"""What the input of training takes of memory and of CPU time: python benchmarks/training_input.py.

Faces are not decoded at once, as in a set of more than 1 GiB of pixels, and are read in each layout of the records, at
two sizes of the set. Beside it the JPEGs held in memory, as training once did. Each way is a process of its own; its
peak is told as what it held above what it held when everything was imported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from benchmarks.faces import peak_memory
from fec import layout, tables
from fec.face_records import FaceExample, IdTripletExample
from fec.layout import TRAIN
from fec.record_files import RecordFiles
from fec.records import TripletExample, frame
from fec.rows import CollectedTriplet
from fec.storage import open_storage

# Triplets that use a face, in FEC: 3 x 500,000 / 156,000.
USES: Final = 9.6
BATCH: Final = 30
INSIDE, APART, HELD = "triplets", "faces", "held in memory"
NAMES: Final = {
    HELD: "triplets, JPEGs in memory",
    INSIDE: "triplets, JPEGs on the disk",
    APART: "faces once, JPEGs on the disk",
}
# Their names in the root's folder of records.
FILES: Final = {
    problem: layout.record_file(TRAIN, 0, 1, problem)
    for problem in (layout.PROBLEM, layout.triplets_problem(), layout.faces_problem())
}


@dataclass(frozen=True)
class Took:
    """Of a way: MB above the start, and triplets a CPU second of reading and of making batches."""

    peak_mb: float
    read: float
    batches: float


def write_root(root: Path, triplets: int, size: int) -> int:
    """Records of both layouts of ``triplets`` triplets, and the table collect would have written; how many faces."""
    chance = np.random.default_rng(0)
    faces = drawn_faces(max(3, round(3 * triplets / USES)), size, chance)
    used = np.array([chance.choice(len(faces), 3, replace=False) for _ in range(triplets)])
    names = [f"{number:016x}" for number in range(len(faces))]
    (root / "records").mkdir()
    (root / layout.collect_dir(TRAIN)).mkdir(parents=True)
    rows = []
    inside, ids, apart = ((root / path).open("wb") for path in FILES.values())
    with inside, ids, apart:
        for number, (a, b, c) in enumerate(used.tolist()):
            odd, votes = number % 3 + 1, [number % 3 + 1] * 6
            three = (names[a], names[b], names[c])
            images = (faces[a], faces[b], faces[c])
            inside.write(frame(TripletExample(images, three, odd, odd, votes).encode()))
            counted = (votes.count(1), votes.count(2), votes.count(3))
            ids.write(frame(IdTripletExample(three, odd, odd, counted).encode()))
            rows.append(CollectedTriplet(number + 1, *three, odd, votes, odd, 0))
        for face, uses in sorted(Counter(used.ravel().tolist()).items()):
            apart.write(frame(FaceExample(names[face], faces[face], "", "", 1.0, "none", uses).encode()))
    table = tables.from_rows(rows, CollectedTriplet)
    tables.write_table(open_storage(str(root)), f"{layout.collect_dir(TRAIN)}/triplets.parquet", table)
    return len(faces)


def drawn_faces(count: int, size: int, chance: np.random.Generator) -> list[bytes]:
    """JPEGs of pieces of photographs."""
    import skimage.data

    source: Any = skimage.data
    photographs = [getattr(source, name)() for name in ("astronaut", "chelsea", "coffee")]
    faces = []
    for _ in range(count):
        photograph = photographs[chance.integers(3)]
        top, left = (chance.integers(side - size) for side in photograph.shape[:2])
        piece = photograph[top : top + size, left : left + size, ::-1]
        faces.append(bytes(cv2.imencode(".jpg", piece, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]))
    return faces


def child(way: str, root: str, triplets: int, size: int, steps: int) -> None:
    """Read the records of ``root`` and make batches of them; print what it took, as JSON."""
    import tensorflow as tf

    from components.train.examples import read_examples
    from components.train.input_pipeline import Faces, batches

    class Held(Faces):
        """All JPEGs in memory."""

        def __getitem__(self, numbers: Any) -> Any:
            spec = tf.TensorSpec([size, size, 3], tf.uint8)
            jpegs = tf.gather(held, numbers)
            return tf.cast(tf.map_fn(self._decoded, jpegs, fn_output_signature=spec), tf.float32)

    tf.config.experimental.enable_op_determinism()
    inside, ids, apart = FILES.values()
    files = RecordFiles((inside,), ("",), size, triplets)
    if way == APART:
        files = RecordFiles((ids,), ("",), size, triplets, face_paths=(apart,))
    next(iter(tf.data.Dataset.range(2).map(lambda number: number + 1)))
    start = peak_memory(reset=True)
    clock = time.process_time()
    examples = read_examples(open_storage(root), files)
    held = tf.constant(list(examples.jpegs)) if way == HELD else None
    read, clock = time.process_time() - clock, time.process_time()
    faces = (Held if way == HELD else Faces)(examples.jpegs, size, decoded_bytes=0)
    order = np.random.default_rng(0).integers(0, triplets, (steps, BATCH)).astype(np.int32)
    for _ in batches(examples, faces, order, "strong", 0):
        pass
    made = time.process_time() - clock
    print(json.dumps(vars(Took(peak_memory() - start, triplets / read, steps * BATCH / made))))


def measured(way: str, root: str, triplets: int, options: argparse.Namespace) -> Took:
    command = [sys.executable, __file__, "--child", way, "--root", root, "--triplets", str(triplets)]
    command += ["--image-size", str(options.image_size), "--steps", str(options.steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr}")
    return Took(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--triplets", type=int, nargs="+", default=[20_000, 400_000], help="sizes of the set")
    parser.add_argument("--image-size", type=int, default=64, help="side of the faces, pixels (default: 64)")
    parser.add_argument("--steps", type=int, default=300, help=f"batches of {BATCH} triplets to make (default: 300)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.root, options.triplets[0], options.image_size, options.steps)
        return
    print("peak: above the start; read and made: triplets a CPU second")
    print(f"{'triplets':>9} {'faces':>7}  {'layout':<29} {'peak MB':>8} {'B/triplet':>10} {'read':>9} {'made':>9}")
    for triplets in options.triplets:
        with tempfile.TemporaryDirectory(prefix="fec-training-input-") as root:
            faces = write_root(Path(root), triplets, options.image_size)
            for way, name in NAMES.items():
                took = measured(way, root, triplets, options)
                each = took.peak_mb * 2**20 / triplets
                print(
                    f"{triplets:>9,} {faces:>7,}  {name:<29} {took.peak_mb:>8,.0f} {each:>10,.0f} {took.read:>9,.0f} "
                    f"{took.batches:>9,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
