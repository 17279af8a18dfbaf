"""Simulated raters err as often as a triplet is hard, and their votes reach the annotations."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks.votes import CAREFUL, voted
from pipelines.folders.drawing import DrawnTriplet
from pipelines.folders.pictures import Picture
from pipelines.folders.root import RATERS, write_csv

FACES = tuple(Picture(Path(f"{name}.png"), name, name, f"{name}.png") for name in "abc")
TRIPLET = DrawnTriplet((FACES[0], FACES[1], FACES[2]), 2)


def test_raters_are_right_as_often_as_they_are_careful_or_lucky() -> None:
    votes = [vote for triplet in voted([TRIPLET] * 2000, seed=0) for vote in triplet.votes]
    careful = sum(CAREFUL) / 2
    assert len(votes) == 2000 * RATERS
    assert abs(votes.count(2) / len(votes) - (careful + (1 - careful) / 3)) < 0.02
    assert abs(votes.count(1) - votes.count(3)) < 0.1 * len(votes)


def test_the_same_seed_gives_the_same_votes() -> None:
    assert voted([TRIPLET] * 9, seed=3) == voted([TRIPLET] * 9, seed=3) != voted([TRIPLET] * 9, seed=4)


def test_the_votes_stand_in_the_annotations_and_without_any_all_name_the_odd_face(tmp_path: Path) -> None:
    write_csv(tmp_path / "list.csv", [DrawnTriplet(TRIPLET.pictures, 2, (1, 2, 2)), TRIPLET])
    with (tmp_path / "list.csv").open(newline="") as file:
        first, second = ([row[17::2]] for row in csv.reader(file))
    assert (first, second) == ([["1", "2", "2"]], [["2"] * RATERS])
