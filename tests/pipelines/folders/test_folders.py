"""Triplets from class folders: who is on a picture gives nothing away, and the root is one that every step takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.drawn_faces import Regime, write_faces
from fec.errors import ConfigurationError
from fec.layout import EVAL, SPLITS, TRAIN
from fec.record_files import record_files
from fec.storage import open_storage
from pipelines.cli import parser
from pipelines.folders.drawing import drawn_triplets
from pipelines.folders.pictures import Picture, image_size_for, pictures_of, split_by_subject
from pipelines.folders.root import url_of
from pipelines.verify.root import verify

SUBJECT = "^(S[0-9]+)_"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven class folders with six pictures of each of twenty people, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("faces")
    write_faces(folder, Regime(people=20, pictures=6, noise=6, jitter=0.4, mislabelled=0.0))
    (folder / "anger" / "README.txt").write_text("not a picture")
    return folder


def test_a_picture_has_the_class_of_its_folder_and_the_subject_of_its_name(folder: Path) -> None:
    pictures = pictures_of(folder, SUBJECT)
    assert len(pictures) == 120
    assert {(p.label, p.subject) for p in pictures} == {(p.path.parent.name, p.path.name[:6]) for p in pictures}


def test_without_a_pattern_every_file_is_a_subject_of_its_own(folder: Path) -> None:
    assert len({picture.subject for picture in pictures_of(folder)}) == 120


def test_the_parts_share_no_subject(folder: Path) -> None:
    train, held_out = split_by_subject(pictures_of(folder, SUBJECT), seed=0)
    assert len({p.subject for p in held_out}) == 4
    assert not {p.subject for p in train} & {p.subject for p in held_out}
    assert len(train) + len(held_out) == 120


def test_the_pair_is_of_one_class_and_two_people_and_every_second_odd_face_of_one_of_them(folder: Path) -> None:
    triplets = drawn_triplets(pictures_of(folder, SUBJECT), 600, seed=0)
    same_person = 0
    for triplet in triplets:
        odd = triplet.pictures[triplet.odd_one_out - 1]
        one, other = (picture for picture in triplet.pictures if picture is not odd)
        assert one.label == other.label != odd.label
        assert one.subject != other.subject
        same_person += odd.subject in (one.subject, other.subject)
    assert 0.45 < same_person / 600 < 0.65
    assert len({frozenset(triplet.pictures) for triplet in triplets}) == 600
    assert min(Counter(triplet.odd_one_out for triplet in triplets).values()) > 150


def test_where_there_are_no_more_triplets_it_ends(folder: Path) -> None:
    few = [picture for picture in pictures_of(folder, SUBJECT) if picture.subject in ("S00000", "S00001")]
    assert 0 < len(drawn_triplets(few, 10**6, seed=0)) < 1000


def test_pictures_in_folders_of_their_own_are_told_apart_where_their_files_are_called_alike(tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", Regime(people=2, pictures=1, noise=6, jitter=0.4, mislabelled=0.0))
    one, other = (path for path in (tmp_path / "faces").glob("*/*.png"))
    for label, source in (("a", one), ("b", other)):
        for number in "12":
            (tmp_path / "nested" / label / number).mkdir(parents=True)
            shutil.copy(source, tmp_path / "nested" / label / number / "S1_1.png")
    pictures = pictures_of(tmp_path / "nested", SUBJECT)
    assert len({url_of(picture) for picture in pictures}) == len(pictures) == 4


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "no regular expression"), ("S", "one group"), ("(X[0-9]+)", "finds no subject in S0")],
)
def test_a_pattern_that_finds_no_subject_is_refused(folder: Path, pattern: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        pictures_of(folder, pattern)


@pytest.mark.parametrize(("side", "count", "size"), [(48, 6_001, 32), (49, 6_001, 64), (256, 6_001, 64), (256, 2, 40)])
def test_the_side_of_the_records_follows_how_many_and_how_large_pictures_are(
    tmp_path: Path, side: int, count: int, size: int
) -> None:
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), np.zeros((side, side + 9, 3), np.uint8))
    assert image_size_for([Picture(path, "a", "somebody", path.name)] * count) == size


def test_a_folder_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one sub-folder a class"):
        pictures_of(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="two sub-folders at least"):
        pictures_of(tmp_path)


def test_the_command_makes_a_root_that_can_be_verified_and_trained_on(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    words = ["--images", str(folder), "--subjects", SUBJECT, "--train-triplets", "90", "--eval-triplets", "30"]
    options = parser(["triplets"]).parse_args(["triplets", *words, "--root", str(root)])
    assert options.run(options) == 0
    storage = open_storage(str(root))
    assert [record_files(storage, split).triplets for split in SPLITS] == [90, 30]
    assert {record_files(storage, split).image_size for split in SPLITS} == {40}
    assert not verify(storage).faults
    before = {path: path.stat().st_mtime_ns for path in root.glob(f"*/{TRAIN}/**/*") if path.is_file()}
    assert options.run(options) == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_picture_that_is_cut_short_loses_its_triplets_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(folder, tmp_path / "images"))
    for path in sorted(images.rglob("*_0.png")):
        path.write_bytes(path.read_bytes()[:60])
    words = ["--images", str(images), "--subjects", SUBJECT, "--train-triplets", "60", "--eval-triplets", "60"]
    options = parser(["triplets"]).parse_args(["triplets", *words, "--root", str(tmp_path / "root")])
    assert options.run(options) == 0
    storage = open_storage(str(tmp_path / "root"))
    assert 0 < record_files(storage, TRAIN).triplets < 60
    assert 0 < record_files(storage, EVAL).triplets < 60


def test_a_wrong_folder_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "triplets", "--images", str(tmp_path), "--root", "unused"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
