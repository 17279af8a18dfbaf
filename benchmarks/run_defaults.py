"""What ``fec run`` does where it is told nothing of training: python benchmarks/run_defaults.py.

On the demo's list, and on 5,000 triplets of drawn faces (benchmarks/drawn_faces.py) that this machine serves: what was
chosen, and the accuracy. Beside it, of the same crops and the same surviving triplets, HOG + LDA, which is given who or
what expression is on each face, which training never sees. In the demo the odd face is another person, in the other
list another expression.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.drawn_faces import FEW, write_faces
from benchmarks.expression import hog_of
from components.evaluate.accuracy import EvalTriplet, odd_ones_out
from fec import identity, layout, tables
from fec.boxes import Box
from fec.layout import EVAL, SPLITS, TRAIN
from fec.rows import CollectedFace, CollectedTriplet
from fec.storage import Storage, open_storage
from pipelines.demo import scenario as demo
from pipelines.demo import site
from pipelines.folders.drawing import drawn_triplets
from pipelines.folders.pictures import pictures_of, split_by_subject

SUBJECT: Final = "^(S[0-9]+)_"
LOOPBACK: Final = "127.0.0.0/8"
WHOLE: Final = Box(0.0, 1.0, 0.0, 1.0)
RATERS: Final = 6


@dataclass(frozen=True)
class Ran:
    """A finished run: its root, and the CPU seconds of all its steps."""

    root: Path
    cpu_seconds: float


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--train-triplets", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--eval-triplets", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of faces, split and training; default: 0")
    parser.add_argument("--run-option", action="append", default=[], metavar="--NAME=VALUE", help="of fec run")
    parser.add_argument("--no-demo", action="store_true", help="the drawn faces only")
    options = parser.parse_args()
    counts = {TRAIN: options.train_triplets, EVAL: options.eval_triplets}
    print(f"{'list':<14}{'seed':>5}{'triplets':>10}{'eval':>7}{'this':>7}{'HOG + LDA':>11}{'pixels':>8}{'CPU s':>7}")
    for seed in options.seeds:
        words = ["--seed", str(seed), *options.run_option]
        if not options.no_demo:
            with tempfile.TemporaryDirectory(prefix="fec-defaults-") as folder, site.serve(demo.scenario()) as served:
                told = _run(Path(folder), served.write_csvs(Path(folder, "lists")), words)
                _row("demo", seed, told, people_of(served))
        with tempfile.TemporaryDirectory(prefix="fec-defaults-") as folder:
            faces = Path(folder, "faces")
            write_faces(faces, FEW, seed)
            with _served(faces) as origin:
                csvs = write_csvs(Path(folder), faces, origin, seed, counts)
                told = _run(Path(folder), csvs, [*words, "--detector", "none"])
                _row("drawn faces", seed, told, expressions_of(faces, origin))


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The files of ``folder`` on this machine; gives the ``http://host:port`` of the server."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def write_csvs(folder: Path, faces: Path, origin: str, seed: int, counts: Mapping[str, int]) -> dict[str, Path]:
    """Lists of ``counts`` triplets of the pictures in ``faces``, people apart, by split."""
    parts = dict(zip(SPLITS, split_by_subject(pictures_of(faces, SUBJECT), seed), strict=True))
    paths = {}
    for split, pictures in parts.items():
        lines = []
        for triplet in drawn_triplets(pictures, counts[split], seed):
            cells = [f'"{origin}/{one.label}/{one.name}",0.0,1.0,0.0,1.0' for one in triplet.pictures]
            cells += ["TWO_CLASS_TRIPLET"] + [f"rater{number},{triplet.odd_one_out}" for number in range(RATERS)]
            lines.append(",".join(cells))
        paths[split] = folder / f"{split}.csv"
        paths[split].write_text("\n".join(lines) + "\n")
    return paths


def _run(folder: Path, csvs: Mapping[str, Path], words: list[str]) -> Ran:
    """``fec run`` on the lists as from a shell."""
    root = folder / "root"
    command = [sys.executable, "-m", "pipelines.cli", "run", "--root", str(root), "--allow-network", LOOPBACK]
    command += ["--train-csv", str(csvs[TRAIN]), "--eval-csv", str(csvs[EVAL]), "--requests-per-second", "1000"]
    before = os.times()
    done = subprocess.run([*command, *words, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    after = os.times()
    return Ran(root, sum(after[2:4]) - sum(before[2:4]))


def people_of(served: site.Site) -> dict[str, str]:
    """Who is on each face of the demo, by the face's id."""
    faces = {face for triplets in served.scenario.triplets.values() for one in triplets for face in one.faces}
    return {
        identity.face_id(served.origins[face.page.host] + face.page.path, face.box): face.person
        for face in faces
        if face.person is not None
    }


def expressions_of(faces: Path, origin: str) -> dict[str, str]:
    """Which expression is on each drawn face, by the face's id."""
    return {identity.face_id(f"{origin}/{one.label}/{one.name}", WHOLE): one.label for one in pictures_of(faces)}


def _row(name: str, seed: int, ran: Ran, labels: Mapping[str, str]) -> None:
    storage = open_storage(str(ran.root), read_only=True)
    [run] = [path.name for path in (ran.root / "models").iterdir()]
    metrics = json.loads(storage.read(f"{layout.report_dir(run)}/metrics.json"))
    about: dict[str, Any] = json.loads(storage.read(f"{layout.model_dir(run)}/train.json"))
    score, count = metrics["triplet_accuracy"]["overall"], metrics["counts"]["overall"]
    baseline = hog_lda(storage, labels)
    print(
        f"{name:<14}{seed:>5}{about['triplets']:>10,}{count:>7,}{score:>7.3f}{baseline:>11.3f}"
        f"{metrics['by_pixels']:>8.3f}{ran.cpu_seconds:>7.0f}",
        flush=True,
    )
    print(f"  chosen: {json.dumps(about['chosen'])}, since {about['why']}", flush=True)


def hog_lda(storage: Storage, labels: Mapping[str, str]) -> float:
    """Strict accuracy, on eval's surviving triplets, of HOG in the space that best tells the ``labels`` of train's
    crops apart."""
    train, held_out = (_descriptors(storage, split) for split in (TRAIN, EVAL))
    known = [face for face in train if face in labels]
    space = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    space.fit(np.stack([train[face] for face in known]), [labels[face] for face in known])
    embeddings = dict(zip(held_out, space.transform(np.stack(list(held_out.values()))), strict=True))
    path = f"{layout.collect_dir(EVAL)}/triplets.parquet"
    triplets = [
        EvalTriplet((row.face_a, row.face_b, row.face_c), row.odd_one_out, row.type)
        for row in tables.read_rows(storage, path, CollectedTriplet)
    ]
    right = [
        answer == one.odd_one_out for answer, one in zip(odd_ones_out(triplets, embeddings), triplets, strict=True)
    ]
    return sum(right) / len(right)


def _descriptors(storage: Storage, split: str) -> dict[str, NDArray[Any]]:
    """HOG of the crop of every face in a split's surviving triplets, by the face's id."""
    found = {}
    for face in tables.read_rows(storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}", CollectedFace):
        crop = np.frombuffer(storage.read(f"{layout.faces_dir(split, face.shard)}/{face.crop_name}"), np.uint8)
        found[face.face_id] = hog_of(cv2.imdecode(crop, cv2.IMREAD_GRAYSCALE))
    return found


if __name__ == "__main__":
    main()
