"""How fast records are written, and how large: python benchmarks/datagen.py [--scale] [--t2t-python PATH].

Side by side on the same crops: the datagen step, a plain loop around ``tf.io.TFRecordWriter``, and, given the Python
of an environment with Tensor2Tensor, its ``generate_files`` with lists of int64 pixels as the recipe had them.
``--scale`` shows time and memory of collect and datagen at 5,000 and at 500,000 triplets. ``--root`` takes the
triplets and crops of a root of one's own (split train, collected) instead of crops of packaged photographs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fec.rows import PlannedTriplet, VerifiedFace

ROOT_FOLDER: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT_FOLDER))

SPLIT: Final = "train"
# As in the published dataset: 500,000 triplets over 156,000 faces.
TRIPLETS_A_FACE: Final = 500_000 / 156_000
# Photographs with a face, and where it is: left, right, top, bottom, pixels.
PORTRAITS: Final = {"astronaut": (178, 268, 63, 176), "camera": (196, 257, 113, 194)}
EXPRESSION_CLASSES: Final = 30

Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Result:
    """What a way of writing took and made."""

    name: str
    triplets: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    output_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.name:<34} {self.triplets / self.cpu_seconds:>9,.0f} {self.triplets / self.wall_seconds:>9,.0f} "
            f"{self.output_bytes / self.triplets:>10,.0f} {self.peak_mb:>8,.0f}"
        )


HEADER: Final = f"{'':<34} {'/s a core':>9} {'/s':>9} {'B/triplet':>10} {'peak MB':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--triplets", type=int, default=5000)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1, help="threads of ours; the others have one")
    parser.add_argument("--t2t-python", help="Python of an environment with Tensor2Tensor")
    parser.add_argument("--root", help="a collected root of one's own")
    parser.add_argument("--scale", action="store_true", help="memory and time at 5,000 and 500,000 triplets")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        WAYS[options.child](options)
        return
    if options.scale:
        scale(options)
        return
    with tempfile.TemporaryDirectory(prefix="fec-datagen-") as folder:
        root = options.root or folder
        if not options.root:
            make_root(Path(root), options.triplets, crop_files=10**9)
            measured("collect", sys.executable, root, options)
        compare(root, options)


def compare(root: str, options: argparse.Namespace) -> None:
    print(crops_line(root))
    print(HEADER, flush=True)
    ways = [("ours", sys.executable), ("faces", sys.executable), ("plain", sys.executable)]
    ways += [("t2t", options.t2t_python)] if options.t2t_python else []
    results = []
    for way, python in ways:
        results.append(measured(way, python, root, options))
        print(results[-1], flush=True)
    ours = results[0]
    if not options.t2t_python:
        print("Tensor2Tensor's generate_files: skipped, no --t2t-python given")
    for result in results[2:]:
        speed = result.cpu_seconds / result.triplets / (ours.cpu_seconds / ours.triplets)
        print(f"ours is {speed:.1f} times as fast a core as {result.name}")
    print(sharing_line(root))


def scale(options: argparse.Namespace) -> None:
    print(HEADER)
    for triplets in (5_000, 500_000):
        with tempfile.TemporaryDirectory(prefix="fec-datagen-") as root:
            make_root(Path(root), triplets, crop_files=1_560)
            for way in ("collect", "ours", "faces"):
                print(measured(way, sys.executable, root, options), flush=True)
            print(sharing_line(root))


def measured(way: str, python: str, root: str, options: argparse.Namespace) -> Result:
    """Run one way in a process of its own; time and memory are that process', imports left out of the time."""
    command = [python, __file__, "--child", way, "--root", root, "--image-size", str(options.image_size)]
    command += ["--workers", str(options.workers)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def timed(name: str, work: Callable[[], tuple[int, int]]) -> None:
    """Do the work, which gives the number of triplets and of bytes, and print the result as JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    triplets, size = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps(vars(Result(name, triplets, wall, cpu, peak_mb(), size))))


def peak_mb() -> float:
    """The most memory this process has held; ``ru_maxrss`` would count what its parent held when it started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def size_of(root: str, pattern: str) -> int:
    return sum(file.stat().st_size for file in Path(root, "records").glob(pattern))


def child_collect(options: argparse.Namespace) -> None:
    import components.collect.work  # noqa: F401 - imported before the clock starts
    from components.collect import step

    def work() -> tuple[int, int]:
        step.run(step.Parameters(options.root, SPLIT))
        return triplets_of(options.root), sum(file.stat().st_size for file in Path(options.root, "collect").rglob("*"))

    timed("collect", work)


def child_ours(options: argparse.Namespace) -> None:
    datagen("ours", "triplets", "fec_base-train-*", options)


def child_faces(options: argparse.Namespace) -> None:
    datagen("ours, faces and ids apart", "faces", "*-fec_base-train-*", options)


def datagen(name: str, layout: str, pattern: str, options: argparse.Namespace) -> None:
    import components.datagen.work  # noqa: F401 - imported before the clock starts
    from components.datagen import step

    def work() -> tuple[int, int]:
        size, workers = options.image_size, options.workers
        step.run(step.Parameters(options.root, SPLIT, "0/1", image_size=size, layout=layout, workers=workers))
        return triplets_of(options.root), size_of(options.root, pattern)

    timed(name, work)


def child_plain(options: argparse.Namespace) -> None:
    """What one writes first: for each triplet read, decode, resize and encode its three faces."""
    import cv2
    import tensorflow as tf

    cv2.setNumThreads(1)

    def small(path: Path) -> bytes:
        pixels = cv2.imread(str(path))
        assert pixels is not None
        resized = cv2.resize(pixels, (options.image_size, options.image_size), interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])

    def one(value: Any) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def numbers(*values: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def work() -> tuple[int, int]:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "plain")
            count = 0
            with tf.io.TFRecordWriter(str(target)) as writer:
                for row, paths in triplets_with_paths(options.root):
                    features = {f"image/{letter}": one(small(path)) for letter, path in zip("abc", paths, strict=True)}
                    features |= {f"image/{letter}/id": one(row[f"face_{letter}"].encode()) for letter in "abc"}
                    mean = tf.train.FloatList(value=[sum(row["votes"]) / len(row["votes"])])
                    features |= {
                        "triplet_code": numbers(row["odd_one_out"]),
                        "type": numbers(row["type"]),
                        "rating/all": numbers(*row["votes"]),
                        "rating/mode": numbers(row["odd_one_out"]),
                        "rating/mean": tf.train.Feature(float_list=mean),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    writer.write(example.SerializeToString())
                    count += 1
            return count, target.stat().st_size

    timed("plain tf.io.TFRecordWriter loop", work)


def child_t2t(options: argparse.Namespace) -> None:
    """The recipe's way: pixels as lists of int64 through Tensor2Tensor's ``generate_files``."""
    import cv2
    from google.protobuf.internal import api_implementation
    from tensor2tensor.data_generators import generator_utils

    cv2.setNumThreads(1)

    def pixels(path: str) -> list[int]:
        image = cv2.imread(path)
        assert image is not None
        resized = cv2.resize(image, (options.image_size, options.image_size), interpolation=cv2.INTER_AREA)
        return [int(value) for value in resized[:, :, ::-1].flatten().tolist()]

    def examples(lines: list[str]) -> Iterator[dict[str, Any]]:
        for line in lines:
            row = json.loads(line)
            example = {f"image/{letter}": pixels(row["paths"][place]) for place, letter in enumerate("abc")}
            yield example | {
                "triplet_code": [row["odd_one_out"]],
                "type": [row["type"]],
                "rating/all": row["votes"],
                "rating/mean": [sum(row["votes"]) / len(row["votes"])],
                "rating/mode": [row["odd_one_out"]],
            }

    def work() -> tuple[int, int]:
        lines = Path(options.root, "t2t.jsonl").read_text().splitlines()
        with tempfile.TemporaryDirectory() as folder:
            target = str(Path(folder, "t2t-train-00000-of-00001"))
            generator_utils.generate_files(examples(lines), [target])
            return len(lines), Path(target).stat().st_size

    # Which of protobuf's implementations an environment has makes a tenfold difference.
    timed(f"T2T int64 lists, protobuf in {api_implementation.Type()}", work)


WAYS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "collect": child_collect,
    "ours": child_ours,
    "faces": child_faces,
    "plain": child_plain,
    "t2t": child_t2t,
}


def triplets_of(root: str) -> int:
    count: int = json.loads(Path(root, "collect", SPLIT, "funnel.json").read_text())["records"]
    return count


def triplets_with_paths(root: str) -> Iterator[tuple[dict[str, Any], list[Path]]]:
    """Each collected triplet, and where its crops lie."""
    import pyarrow.parquet as pq

    folder = Path(root, "collect", SPLIT)
    rows = pq.read_table(folder / "faces.parquet").to_pylist()
    paths = {row["face_id"]: Path(root, SPLIT, str(row["shard"]), row["crop_name"]) for row in rows}
    for batch in pq.ParquetFile(folder / "triplets.parquet").iter_batches(1000):
        for row in batch.to_pylist():
            yield row, [paths[row[f"face_{letter}"]] for letter in "abc"]


def crops_line(root: str) -> str:
    """What the crops are like; also leaves them as Tensor2Tensor's environment can read them, without pyarrow."""
    from components.datagen.square import jpeg_size

    used: set[Path] = set()
    with Path(root, "t2t.jsonl").open("w") as file:
        for row, paths in triplets_with_paths(root):
            used |= set(paths)
            file.write(json.dumps(row | {"paths": [str(path) for path in paths]}) + "\n")
    sizes = [max(jpeg_size(path.read_bytes())) for path in used]
    weight = sum(path.stat().st_size for path in used) / len(used)
    return (
        f"{triplets_of(root):,} triplets over {len(used):,} crops, longer side {np.percentile(sizes, 10):.0f} to "
        f"{np.percentile(sizes, 90):.0f} pixels (10th to 90th percentile), {weight / 1024:.0f} KB each"
    )


def sharing_line(root: str) -> str:
    """How far triplets that share faces can be brought together."""
    from components.datagen.arrangement import arrange, most_held
    from components.datagen.collected import read_collected
    from fec.storage import open_storage

    collected = read_collected(open_storage(root), SPLIT, triplets_of(root))
    every = np.arange(len(collected) + 1)
    start = time.process_time()
    arrangement = arrange(collected.used)
    seconds = time.process_time() - start
    as_collected = most_held(_unchanged(arrangement, collected.used), collected.used, every)
    arranged = most_held(arrangement, collected.used, every)
    faces = len(arrangement.faces)
    return (
        f"sharing: {3 * len(collected) / faces:.1f} triplets a face; a reader holds {as_collected / faces:.0%} of the "
        f"faces at the peak in the order of collect, {arranged / faces:.0%} arranged ({seconds:.1f} s)"
    )


def _unchanged(arrangement: Any, used: Any) -> Any:
    """The arrangement that leaves the triplets where they are."""
    from dataclasses import replace

    _, first = np.unique(used.ravel(), return_index=True)
    until = np.concatenate([[0], np.cumsum(np.bincount(first // 3, minlength=len(used)))])
    return replace(arrangement, triplets=np.arange(len(used)), faces_until=until)


def make_root(root: Path, triplets: int, crop_files: int) -> None:
    """A root as plan, download and faces leave it, of the published dataset's shape.

    Faces have one of 30 classes; a one-class triplet has all its faces of one, a two-class triplet two of one, a
    three-class triplet of any. At most ``crop_files`` different crops are made: faces beyond that share them.
    """
    import pyarrow as pa

    from fec import identity, layout, tables
    from fec.boxes import Box
    from fec.done import Done, write_done
    from fec.outcomes import FaceOutcome
    from fec.storage import open_storage

    faces = max(3 * EXPRESSION_CLASSES, round(triplets / TRIPLETS_A_FACE))
    storage = open_storage(str(root))
    folder = root / layout.faces_dir(SPLIT, 0)
    folder.mkdir(parents=True)
    kept = []
    for number in range(min(faces, crop_files)):
        data, name = portrait(number), f"cropped@{number}.jpg"
        (folder / name).write_bytes(data)
        kept.append((name, hashlib.sha256(data).hexdigest()))

    box = Box(0.1, 0.5, 0.1, 0.6)
    urls = [f"http://photos.example/{face}.jpg" for face in range(faces)]
    chance = np.random.default_rng(1)
    rows = [
        VerifiedFace(
            identity.face_id(url, box),
            identity.image_id(url),
            FaceOutcome.OK,
            "",
            "yunet",
            **box._asdict(),
            confidence=0.9,
            crop_name=kept[face % len(kept)][0],
            crop_sha256=kept[face % len(kept)][1],
            image_sha256=hashlib.sha256(url.encode()).hexdigest(),
            image_likeness=chance.bytes(32),
            crop_likeness=chance.bytes(32),
        )
        for face, url in enumerate(urls)
    ]
    digest = tables.verified_digest((r.face_id, r.outcome, r.crop_name, r.crop_sha256) for r in rows)
    tables.write_table(storage, f"{layout.faces_dir(SPLIT, 0)}/faces.parquet", tables.from_rows(rows, VerifiedFace))
    write_done(storage, layout.faces_dir(SPLIT, 0), Done("faces", "f", digest))
    write_done(storage, layout.images_dir(SPLIT, 0), Done("download", "f", "d", {"fetched": faces}))

    three, kind, odd, votes = drawn_triplets(triplets, faces)
    ids = pa.array([row.face_id for row in rows])
    ends = pa.array(np.arange(0, 6 * triplets + 1, 6, dtype=np.int32))
    columns = [
        pa.array(np.arange(1, triplets + 1, dtype=np.int32)),
        *(ids.take(pa.array(three[:, place])) for place in range(3)),
        pa.array(kind),
        pa.ListArray.from_arrays(ends, pa.array(votes.ravel())),
        pa.ListArray.from_arrays(ends, pa.array(["rater"]).take(pa.array(np.zeros(6 * triplets, np.int8)))),
        pa.array(odd),
    ]
    table = pa.Table.from_arrays(columns, schema=tables.schema(PlannedTriplet))
    tables.write_table(storage, f"{layout.plan_dir(SPLIT)}/triplets.parquet", table)
    write_done(storage, layout.plan_dir(SPLIT), Done("plan", "f", "d", {"images": faces}, {"num_shards": 1}))


def drawn_triplets(count: int, faces: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Faces int64 [count, 3], type, odd one out int8 [count], and votes int8 [count, 6] of random triplets.

    Face i has class i modulo the number of classes.
    """
    random = np.random.default_rng(0)
    kind, odd = random.integers(1, 4, (2, count), dtype=np.int8)
    classes = random.integers(0, EXPRESSION_CLASSES, (count, 3))
    every = np.arange(count)
    classes[every, odd % 3] = np.where(kind < 3, classes[every, (odd + 1) % 3], classes[every, odd % 3])
    classes[kind == 1] = classes[kind == 1][:, :1]
    three = random.integers(0, faces // EXPRESSION_CLASSES, (count, 3)) * EXPRESSION_CLASSES + classes
    same = (three[:, 0] == three[:, 1]) | (three[:, 1] == three[:, 2]) | (three[:, 0] == three[:, 2])
    three[same] = [0, 1, 2]  # a handful
    votes = np.repeat(odd[:, None], 6, axis=1)
    votes[:, 4:] = random.integers(1, 4, (count, 2))
    return three, kind, odd, votes


def portrait(number: int) -> bytes:
    """The ``number``-th crop: a face or part of a picture, moved, lit and scaled to 100 to 400 pixels."""
    import cv2
    import skimage.data

    from fec.pixels import encode_jpeg

    random = np.random.default_rng(number)
    name = list(PORTRAITS)[number % len(PORTRAITS)]
    left, right, top, bottom = PORTRAITS[name]
    picture = getattr(skimage.data, name)()
    across, down = random.integers(-12, 13, 2)
    crop = picture[top + down : bottom + down, left + across : right + across]
    if crop.ndim == 2:
        crop = np.repeat(crop[:, :, None], 3, axis=2)
    if random.integers(2):
        crop = crop[:, ::-1]
    side = float(random.uniform(100, 400))
    scale = side / max(crop.shape[:2])
    crop = cv2.resize(np.ascontiguousarray(crop), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 3, crop.shape)
    lit = np.clip(crop * random.uniform(0.7, 1.3) + grain, 0, 255).astype(np.uint8)
    return encode_jpeg(lit, 95)


if __name__ == "__main__":
    main()
