"""Eval triplets that share something with train are told, and left out where that is asked for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.evaluate import report
from components.evaluate.accuracy import EvalTriplet
from components.evaluate.leaks import Excluded, sharing
from components.evaluate.measuring import measured
from components.evaluate.report_data import Shared
from components.evaluate.step import Parameters, run
from fec import layout, tables
from fec.layout import EVAL, TRAIN
from fec.rows import CollectedFace, PlannedImage
from fec.storage import open_storage
from tests.components.evaluate.conftest import RUN
from tests.components.evaluate.made_up import content


def face(name: str, image: str) -> CollectedFace:
    return CollectedFace(name, image, 0, "", "", 1.0, "none")


def test_a_face_a_photograph_and_an_account_are_shared_each_implying_the_next(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    faces = {
        TRAIN: [face("f1", "p1"), face("f2", "p2"), face("f3", "p3")],
        EVAL: [face("f1", "p1"), face("g2", "p2"), face("g3", "q3"), face("g4", "q4"), face("g5", "q5")],
    }
    hosts = {"p1": "one", "p2": "two", "p3": "three", "q3": "three", "q4": "four", "q5": "five"}
    for split, rows in faces.items():
        path = f"{layout.collect_dir(split)}/{layout.FACES_TABLE}"
        tables.write_table(storage, path, tables.from_rows(rows, CollectedFace))
        seen = sorted({row.image_id for row in rows})
        crowd = [PlannedImage(f"{split}{n}", f"http://live.example/{split}{n}", "h", 0) for n in range(100)]
        images = [PlannedImage(image, f"http://{hosts[image]}.example/{image}", "h", 0) for image in seen]
        table = tables.from_rows([*images, *crowd], PlannedImage)
        tables.write_table(storage, f"{layout.plan_dir(split)}/images.parquet", table)
    triplets = [EvalTriplet((first, "g4", "g5"), 1, 1) for first in ("f1", "g2", "g3", "g4")]
    found = {level: which.tolist() for level, which in sharing(storage, triplets).items()}
    assert found == {
        "faces": [True, False, False, False],
        "photographs": [True, True, False, False],
        "accounts": [True, True, True, False],
    }


PLACES = {"a": np.array([0.0]), "b": np.array([1.0]), "c": np.array([3.0])}
TRIPLETS = [EvalTriplet(("a", "b", "c"), odd, 1) for odd in (3, 3, 1, 1)]
SHARING = {
    "faces": np.array([True, False, False, False]),
    "photographs": np.array([True, True, False, False]),
    "accounts": np.array([True, True, True, False]),
}


def scored(exclude: str) -> dict[str, tuple[int, int]]:
    found = measured(TRIPLETS, PLACES, PLACES, {name: name for name in PLACES}, SHARING, exclude)
    scores = {"all": found.scores["overall"], **found.without}
    return {name: (score.right, score.count) for name, score in scores.items()}


def test_the_accuracy_stands_with_and_without_beside_each_other() -> None:
    assert scored("none") == {"all": (2, 4), "faces": (1, 3), "photographs": (0, 2), "accounts": (0, 1)}


def test_what_is_excluded_is_in_no_figure() -> None:
    assert scored("photographs") == {"all": (0, 2), "faces": (0, 2), "photographs": (0, 2), "accounts": (0, 1)}


def test_the_page_says_first_what_was_left_out() -> None:
    plain = replace(content("plain"), shared=Shared(3, 2))
    assert "Leaked split." in report.page(plain)
    text = report.page(replace(plain, excluded=Excluded("faces", 5, 20)))
    assert "Leaked split." not in text
    assert "5 of 20 eval triplets share faces with train and were left out" in text


@pytest.mark.parametrize("level", ["faces", "accounts"])
def test_a_whole_evaluation_leaves_out_what_is_shared(finished_root: Path, tmp_path: Path, level: str) -> None:
    """The demo's splits share no face, and all of its photographs are on few hosts: nothing is left out."""
    root = shutil.copytree(finished_root, tmp_path / "root", ignore=shutil.ignore_patterns("reports"))
    path = run(Parameters(root=str(root), run=RUN, exclude_leaks=level, embed=EVAL))
    metrics = json.loads(Path(path).with_name("metrics.json").read_text())
    assert metrics["excluded"] == {"level": level, "count": 0, "of": metrics["counts"]["overall"]}
    assert metrics["without_shared"][level]["accuracy"] == metrics["triplet_accuracy"]["overall"]
