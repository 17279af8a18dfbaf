"""``fec triplets``: a storage root to train on, from pictures that lie in a folder a class."""

from __future__ import annotations

import argparse
from pathlib import Path

from fec.errors import ConfigurationError
from fec.layout import EVAL, TRAIN

SUMMARY = "Make a storage root of odd-one-out triplets from a folder of class folders (CK+, FER2013, one's own)."

TRAIN_TRIPLETS = 60_000
EVAL_TRIPLETS = 4_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", required=True, type=Path, help="folder that holds one sub-folder a class")
    parser.add_argument(
        "--subjects",
        default="",
        metavar="PATTERN",
        help="regular expression with one group that finds the subject in a file's name, such as '^(S[0-9]+)_'; "
        "without it every file is a subject of its own",
    )
    parser.add_argument("--root", required=True, type=Path, help="the folder to make the storage root in")
    parser.add_argument("--train-triplets", type=int, default=TRAIN_TRIPLETS, help="at the most (default: %(default)s)")
    parser.add_argument("--eval-triplets", type=int, default=EVAL_TRIPLETS, help="at the most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the triplets (default: %(default)s)")
    parser.add_argument(
        "--image-size",
        type=int,
        default=0,
        help="side of the faces in the records, pixels (default: 40 for up to 6,000 pictures; of more 32, or 64 if "
        "they are larger than 48 pixels)",
    )


def run(options: argparse.Namespace) -> int:
    from pipelines.folders.drawing import drawn_triplets
    from pipelines.folders.pictures import image_size_for, pictures_of, split_by_subject
    from pipelines.folders.root import write_root

    for name in ("train_triplets", "eval_triplets"):
        if getattr(options, name) < 1:
            raise ConfigurationError(f"--{name.replace('_', '-')} {getattr(options, name)}: expected at least 1")
    pictures = pictures_of(options.images, options.subjects)
    parts = split_by_subject(pictures, options.seed)
    image_size = options.image_size or image_size_for(pictures)
    counts = (options.train_triplets, options.eval_triplets)
    drawn = [drawn_triplets(part, count, options.seed) for part, count in zip(parts, counts, strict=True)]
    write_root(options.root, dict(zip((TRAIN, EVAL), drawn, strict=True)), image_size)
    print(f"Now: python -m components.train --root {options.root}")
    return 0
