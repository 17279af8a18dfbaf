"""How well training does on expressions that have a name: python benchmarks/expression.py --images DIR.

DIR holds one sub-folder a class (CK+, FER2013, JAFFE, one's own). For each seed: a split by subject, odd-one-out
triplets (pipelines/folders), and the project's own steps with their defaults. Beside it, on the same triplets: pixels,
and HOG + LDA, which is given the class labels that training never sees. With ``--eval-images`` all of DIR is trained
on and the triplets are of another folder's pictures: JAFFE from CK+, say.
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
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from components.evaluate.accuracy import EvalTriplet, odd_ones_out
from fec import layout
from fec.errors import ConfigurationError, FecError, RunFailed
from fec.layout import EVAL, TRAIN
from pipelines.commands.triplets import EVAL_TRIPLETS, TRAIN_TRIPLETS
from pipelines.folders.drawing import DrawnTriplet, drawn_triplets
from pipelines.folders.pictures import Picture, image_size_for, pictures_of, split_by_subject
from pipelines.folders.root import write_root

RUN: Final = "expression"
# The side at which HOG sees a face: what such sets are mostly published at.
HOG_SIZE: Final = 48


@dataclass(frozen=True)
class Result:
    """What one seed came to."""

    accuracy: float
    hog_lda: float
    pixels: float
    train_cpu_seconds: float
    chosen: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    try:
        _measure(options)
    except FecError as error:
        sys.exit(_said(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--images", required=True, type=Path, help="folder that holds one sub-folder a class")
    parser.add_argument("--subjects", default="", metavar="PATTERN", help="finds the subject in a file's name")
    parser.add_argument(
        "--eval-images",
        type=Path,
        metavar="DIR",
        help="evaluate on these, train on all of --images",
    )
    parser.add_argument("--eval-subjects", default="", metavar="PATTERN", help="the same of --eval-images")
    parser.add_argument("--train-triplets", type=int, default=TRAIN_TRIPLETS, help="default: %(default)s")
    parser.add_argument("--eval-triplets", type=int, default=EVAL_TRIPLETS, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--image-size", type=int, help="of the records, pixels; default: as fec triplets makes them")
    parser.add_argument("--train-option", action="append", default=[], metavar="--NAME=VALUE", help="of the train step")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser


def _measure(options: argparse.Namespace) -> None:
    for name in ("train_triplets", "eval_triplets", "image_size"):
        if (number := getattr(options, name)) is not None and number < 1:
            raise ConfigurationError(f"--{name.replace('_', '-')} {number}: expected at least 1")
    pictures = readable(pictures_of(options.images, options.subjects))
    print(f"{len(pictures):,} pictures of {len({p.subject for p in pictures}):,} subjects", flush=True)
    others = None
    if options.eval_images is not None:
        pictures, others = of_two_folders(pictures, options)
    print("seed   this   HOG + LDA   pixels   CPU seconds of training", flush=True)
    results = []
    for seed in options.seeds:
        parts = split_by_subject(pictures, seed) if others is None else (pictures, others)
        result = of_seed(parts, seed, options)
        results.append(result)
        print(
            f"{seed:>4}   {result.accuracy:.3f}   {result.hog_lda:>8.3f}   {result.pixels:.3f}   "
            f"{result.train_cpu_seconds:>10.0f}   {json.dumps(result.chosen)}",
            flush=True,
        )
    mean = means(results)
    print(f"mean   {mean['accuracy']:.3f}   {mean['hog_lda']:>8.3f}   {mean['pixels']:.3f}")
    if options.json:
        print(json_line(results))


def means(results: Sequence[Result]) -> dict[str, float]:
    """Of the three accuracies over the seeds."""
    return {name: statistics.mean(getattr(r, name) for r in results) for name in ("accuracy", "hog_lda", "pixels")}


def json_line(results: Sequence[Result]) -> str:
    """The accuracies and the CPU seconds of training by seed, the means of the baselines, and what training chose."""
    lists = {name: [getattr(r, name) for r in results] for name in ("accuracy", "train_cpu_seconds")}
    baselines = {name: value for name, value in means(results).items() if name != "accuracy"}
    return json.dumps(lists | baselines | {"chosen": results[0].chosen})


def of_two_folders(pictures: Sequence[Picture], options: argparse.Namespace) -> tuple[list[Picture], list[Picture]]:
    """The pictures of both folders that are of classes which both have; nobody is in both."""
    if options.eval_images.resolve() == options.images.resolve():
        raise ConfigurationError("--eval-images: the same folder as --images; without it a part of that is held out")
    others = readable(pictures_of(options.eval_images, options.eval_subjects))
    others = [replace(picture, subject=f"{options.eval_images}/{picture.subject}") for picture in others]
    labels = {picture.label for picture in pictures} & {picture.label for picture in others}
    if len(labels) < 2:
        raise ConfigurationError(
            f"--eval-images {options.eval_images}: shares fewer than two classes with {options.images}; "
            "name the sub-folders of both alike"
        )
    kept = [picture for picture in others if picture.label in labels]
    print(f"evaluated on {len(kept):,} pictures of others, of the classes {', '.join(sorted(labels))}", flush=True)
    return [picture for picture in pictures if picture.label in labels], kept


def readable(pictures: Sequence[Picture]) -> list[Picture]:
    """Those whose file is whole enough to be decoded; the others are counted."""
    kept = [picture for picture in pictures if cv2.imread(str(picture.path), cv2.IMREAD_GRAYSCALE) is not None]
    if len(kept) < len(pictures):
        print(f"{len(pictures) - len(kept):,} files cannot be decoded and are left out", flush=True)
    return kept


def of_seed(parts: tuple[Sequence[Picture], Sequence[Picture]], seed: int, options: argparse.Namespace) -> Result:
    """One training on the first part, and it and the two baselines on triplets of the second."""
    train = drawn_triplets(parts[0], options.train_triplets, seed)
    held_out = drawn_triplets(parts[1], options.eval_triplets, seed)
    with tempfile.TemporaryDirectory(prefix="fec-expression-") as folder:
        root = Path(folder)
        write_root(root, {TRAIN: train, EVAL: held_out}, options.image_size or image_size_for(parts[0]))
        before = os.times()
        step("train", "--root", folder, "--run", RUN, "--seed", str(seed), *options.train_option)
        after = os.times()
        step("evaluate", "--root", folder, "--run", RUN, "--embed", EVAL)
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
        # Before its last line stand what it said on the way.
        raise RunFailed(done.stderr.strip().rpartition("\n")[2])


def _said(error: FecError) -> int:
    print(f"expression.py: error: {error}", file=sys.stderr)
    return error.exit_code


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


@cache
def hog(picture: Picture) -> NDArray[Any]:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005) of a picture in grey."""
    return hog_of(cv2.imread(str(picture.path), cv2.IMREAD_GRAYSCALE))


def hog_of(pixels: Any) -> NDArray[Any]:
    """The same of grey pixels, uint8 [height, width]."""
    small = cv2.resize(np.asarray(pixels), (HOG_SIZE, HOG_SIZE), interpolation=cv2.INTER_AREA)
    descriptor = cv2.HOGDescriptor((HOG_SIZE, HOG_SIZE), (16, 16), (8, 8), (8, 8), 9)
    return np.asarray(descriptor.compute(small)).ravel()


if __name__ == "__main__":
    main()
