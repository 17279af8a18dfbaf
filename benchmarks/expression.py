"""How well training does on expressions that have a name: python benchmarks/expression.py --images DIR.

DIR holds one sub-folder a class (CK+, FER2013, JAFFE, one's own). For each seed: a split by subject, odd-one-out
triplets (pipelines/folders), and the project's own steps with their defaults. Beside it, on the same triplets: pixels,
and HOG + LDA, which is given the class labels that training never sees.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from components.evaluate.accuracy import EvalTriplet, odd_ones_out
from fec import layout
from fec.layout import EVAL, TRAIN
from pipelines.commands.triplets import EVAL_TRIPLETS, TRAIN_TRIPLETS
from pipelines.folders.drawing import DrawnTriplet, drawn_triplets
from pipelines.folders.pictures import Picture, pictures_of, split_by_subject
from pipelines.folders.root import write_split

RUN: Final = "expression"
# The side at which HOG sees a face, and in the records: what such sets are mostly published at is 48.
HOG_SIZE: Final = 48
IMAGE_SIZE: Final = 32


@dataclass(frozen=True)
class Result:
    """What one seed came to."""

    accuracy: float
    hog_lda: float
    pixels: float
    train_cpu_seconds: float
    chosen: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--images", required=True, type=Path, help="folder that holds one sub-folder a class")
    parser.add_argument("--subjects", default="", metavar="PATTERN", help="finds the subject in a file's name")
    parser.add_argument("--train-triplets", type=int, default=TRAIN_TRIPLETS, help="default: %(default)s")
    parser.add_argument("--eval-triplets", type=int, default=EVAL_TRIPLETS, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument(
        "--image-size", type=int, default=IMAGE_SIZE, help="of the records, pixels; default: %(default)s"
    )
    parser.add_argument("--train-option", action="append", default=[], metavar="--NAME=VALUE", help="of the train step")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    pictures = pictures_of(options.images, options.subjects)
    print(f"{len(pictures):,} pictures of {len({p.subject for p in pictures}):,} subjects", flush=True)
    print("seed   this   HOG + LDA   pixels   CPU seconds of training")
    results = []
    for seed in options.seeds:
        result = of_seed(pictures, seed, options)
        results.append(result)
        print(
            f"{seed:>4}   {result.accuracy:.3f}   {result.hog_lda:>8.3f}   {result.pixels:.3f}   "
            f"{result.train_cpu_seconds:>10.0f}   {json.dumps(result.chosen)}",
            flush=True,
        )
    means = [statistics.mean(getattr(r, name) for r in results) for name in ("accuracy", "hog_lda", "pixels")]
    print("mean   {:.3f}   {:>8.3f}   {:.3f}".format(*means))
    if options.json:
        lists = {name: [asdict(r)[name] for r in results] for name in ("accuracy", "train_cpu_seconds")}
        print(json.dumps({**lists, "hog_lda": means[1], "pixels": means[2], "chosen": results[0].chosen}))


def of_seed(pictures: Sequence[Picture], seed: int, options: argparse.Namespace) -> Result:
    """One split, its training and the two baselines."""
    parts = split_by_subject(pictures, seed)
    train = drawn_triplets(parts[0], options.train_triplets, seed)
    held_out = drawn_triplets(parts[1], options.eval_triplets, seed)
    with tempfile.TemporaryDirectory(prefix="fec-expression-") as folder:
        root = Path(folder)
        write_split(root, TRAIN, train, options.image_size)
        write_split(root, EVAL, held_out, options.image_size)
        before = os.times()
        step("train", "--root", folder, "--run", RUN, "--seed", str(seed), *options.train_option)
        after = os.times()
        step("evaluate", "--root", folder, "--run", RUN)
        metrics = json.loads((root / layout.report_dir(RUN) / "metrics.json").read_text())
        about = json.loads((root / layout.model_dir(RUN) / "train.json").read_text())
    return Result(
        accuracy=metrics["triplet_accuracy"]["overall"],
        hog_lda=hog_lda(parts[0], held_out),
        pixels=metrics["by_pixels"],
        train_cpu_seconds=sum(after[2:4]) - sum(before[2:4]),
        chosen=about["chosen"],
    )


def step(name: str, *arguments: str) -> None:
    """Run a step of the project as from a shell; what it says is shown only if it fails."""
    done = subprocess.run([sys.executable, "-m", f"components.{name}", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def hog_lda(train: Sequence[Picture], held_out: Sequence[DrawnTriplet]) -> float:
    """Strict triplet accuracy of HOG features in the space that best tells the labels of ``train`` apart."""
    space = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    space.fit(np.stack([hog(picture) for picture in train]), [picture.label for picture in train])
    seen = {str(picture.path): picture for triplet in held_out for picture in triplet.pictures}
    vectors = space.transform(np.stack([hog(picture) for picture in seen.values()]))
    embeddings = dict(zip(seen, vectors, strict=True))
    triplets = []
    for drawn in held_out:
        a, b, c = (str(picture.path) for picture in drawn.pictures)
        triplets.append(EvalTriplet((a, b, c), drawn.odd_one_out, 2))
    answers = odd_ones_out(triplets, embeddings)
    right = [answer == triplet.odd_one_out for answer, triplet in zip(answers, triplets, strict=True)]
    return sum(right) / len(right)


def hog(picture: Picture) -> NDArray[Any]:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005) of a picture in grey."""
    pixels = cv2.imread(str(picture.path), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(np.asarray(pixels), (HOG_SIZE, HOG_SIZE), interpolation=cv2.INTER_AREA)
    descriptor = cv2.HOGDescriptor((HOG_SIZE, HOG_SIZE), (16, 16), (8, 8), (8, 8), 9)
    return np.asarray(descriptor.compute(small)).ravel()


if __name__ == "__main__":
    main()
