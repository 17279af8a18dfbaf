"""How long the report takes, and how large it is, on a root of the whole dataset's size: python benchmarks/report.py.

What grows with the dataset is measured on a made-up root (benchmarks/full_size.py): reading the tables of all shards,
what was lost and what would bring it back, thresholds, copies, rates, the map and the neighbours of the eval faces, and
the page with all its pictures. Embedding and scoring are measured by benchmarks/train.py.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np

from benchmarks.full_size import make
from components.evaluate import losses, report, report_data
from components.evaluate.accuracy import EvalTriplet, answers, distances
from components.evaluate.answered import mistakes, some_right
from components.evaluate.copies import copies
from components.evaluate.embedding import THUMBNAIL
from components.evaluate.expressions import face_map, queries
from components.evaluate.politeness import times
from fec.embeddings import read_embeddings
from fec.funnel import read_funnel
from fec.layout import EVAL, SPLITS
from fec.storage import Storage, open_storage
from fec.thresholds import kept_by_threshold
from tests.components.evaluate.made_up import content

T = TypeVar("T")
RUN: Final = "made-up"
TRIPLETS: Final = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--root", help="a root that is there already (default: one is made, which takes minutes)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size of the one that is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.root:
            make(Path(folder, "root"), options.scale)
        measure(open_storage(options.root or str(Path(folder, "root")), read_only=True))


def measure(storage: Storage) -> None:
    """Print what each part takes, in seconds of a core, and how large the page is."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    start, waited = time.process_time(), time.perf_counter()
    lists = _timed("read what became of all", lambda: losses.read_lists(storage))
    lost = report.Losses(
        *_timed("losses", lambda: (losses.hosts(lists), losses.examples(lists), losses.remedies(lists)))
    )
    kept = _timed("thresholds", lambda: {split: kept_by_threshold(storage, split) for split in SPLITS})
    same = _timed("copies", lambda: copies(storage, lists))
    rates = _timed("rates", lambda: times(lists))
    crops = _timed("crops", lambda: (report_data.accepted_crops(storage), report_data.rejected_crops(storage)))
    vectors = read_embeddings(storage, RUN).of_split(EVAL)
    found = dict(zip(vectors.face_ids, vectors.vectors, strict=True))
    photographs = dict(zip(vectors.face_ids, vectors.image_ids, strict=True))
    jpegs = dict.fromkeys(found, _thumbnail())
    shown = _timed("map", lambda: face_map(found, jpegs))
    near = _timed("neighbours", lambda: queries(found, jpegs, photographs))
    wrong, right = _timed("mistakes", lambda: _answered(found, jpegs))
    told = replace(
        content("made-up"),
        funnels={split: read_funnel(storage, split) for split in SPLITS},
        losses=lost,
        thresholds={split: one for split, one in kept.items() if one is not None},
        copies=same,
        times=rates,
        accepted=crops[0],
        rejected=crops[1],
        face_map=shown,
        queries=near,
        mistakes=wrong,
        some_right=right,
    )
    page = _timed("page", lambda: report.page(told))
    print(f"{'all':<28}{time.process_time() - start:8.1f} s of a core, {time.perf_counter() - waited:.1f} s")
    in_all = sum(len(one.images) for one in lists.values())
    print(f"{in_all:,} photographs, {len(found):,} eval faces: a page of {len(page) / 1e6:.1f} MB")


def _timed(name: str, do: Callable[[], T]) -> T:
    start = time.process_time()
    found = do()
    print(f"{name:<28}{time.process_time() - start:8.1f} s of a core")
    return found


def _thumbnail() -> bytes:
    """A face as large as a report shows it: of noise, than which no photograph takes more bytes."""
    noise: Any = np.random.default_rng(0).integers(0, 256, (THUMBNAIL, THUMBNAIL, 3)).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def _answered(found: dict[str, Any], jpegs: dict[str, bytes]) -> Any:
    chance = np.random.default_rng(1)
    ids = list(found)
    rows = chance.integers(0, len(ids), (TRIPLETS, 3)).tolist()
    triplets = [EvalTriplet((ids[a], ids[b], ids[c]), a % 3 + 1, b % 3 + 1, (1, 2)) for a, b, c in rows]
    left_out = distances(triplets, found)
    given = answers(left_out)
    return mistakes(triplets, given, left_out, jpegs), some_right(triplets, given, left_out, jpegs)


if __name__ == "__main__":
    main()
