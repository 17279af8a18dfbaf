"""benchmarks/expression.py: what it says of a folder it cannot use, and the line it ends in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.drawn_faces import Regime, write_faces
from benchmarks.expression import Result, json_line, main, of_two_folders, readable
from pipelines.folders.pictures import pictures_of

SUBJECT = "^(S[0-9]+)_"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey PNGs of 48 pixels: seven class folders with four pictures of each of six people."""
    folder = tmp_path_factory.mktemp("faces")
    write_faces(folder, Regime(people=6, pictures=4, noise=6, jitter=0.4, mislabelled=0.0))
    return folder


@pytest.fixture
def one_class(tmp_path: Path, folder: Path) -> Path:
    shutil.copytree(folder / "anger", tmp_path / "one" / "anger")
    return tmp_path / "one"


@pytest.fixture
def two_people(tmp_path: Path, folder: Path) -> Path:
    shutil.copytree(folder, tmp_path / "two", ignore=shutil.ignore_patterns("S0000[2-9]*"))
    return tmp_path / "two"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--subjects", "S"), "one group"),
        (("--subjects", "("), "no regular expression"),
        (("--subjects", "(X[0-9]+)"), "finds no subject in S0"),
        (("--train-triplets", "0"), "--train-triplets 0: expected at least 1"),
        (("--eval-triplets", "-3"), "--eval-triplets -3: expected at least 1"),
        (("--image-size", "0"), "--image-size 0: expected at least 1"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(capsys, "--images", folder, *arguments)


def test_a_folder_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "one sub-folder a class" in refused(capsys, "--images", tmp_path / "nowhere")
    assert "two sub-folders at least" in refused(capsys, "--images", tmp_path)


def test_one_class_is_too_few(one_class: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "two sub-folders at least" in refused(capsys, "--images", one_class)


def test_too_few_people_are_said(two_people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "pictures of two subjects" in refused(capsys, "--images", two_people, "--subjects", SUBJECT)


def test_the_folder_that_is_trained_on_is_no_other_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the same folder" in refused(capsys, "--images", folder, "--eval-images", folder)


def test_folders_need_two_classes_in_common(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        shutil.copytree(folder / "anger", tmp_path / name)
    assert "fewer than two classes" in refused(capsys, "--images", folder, "--eval-images", tmp_path)


def test_of_another_folder_the_common_classes_are_used_and_everybody_is_somebody_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Options:
        images, eval_images, eval_subjects = folder, tmp_path, SUBJECT

    for name in ("anger", "happy"):
        shutil.copytree(folder / name, tmp_path / name)
    shutil.copytree(folder / "fear", tmp_path / "neutral")
    train, held_out = of_two_folders(pictures_of(folder, SUBJECT), Options())  # type: ignore[arg-type]
    assert {picture.label for picture in train} == {picture.label for picture in held_out} == {"anger", "happy"}
    assert not {picture.subject for picture in train} & {picture.subject for picture in held_out}
    assert "of the classes anger, happy" in capsys.readouterr().out


def test_a_picture_that_is_cut_short_is_left_out_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(folder, tmp_path / "faces")
    picture = next((root / "anger").iterdir())
    picture.write_bytes(picture.read_bytes()[:40])
    (root / "anger" / "notes.txt").write_text("no picture")
    pictures = pictures_of(root, SUBJECT)
    assert len(readable(pictures)) == len(pictures) - 1 == 23
    assert "1 files cannot be decoded" in capsys.readouterr().out


def test_it_ends_in_one_line_of_json_with_what_was_asked_for() -> None:
    chosen = {"steps": 3000, "augmentation": "strong"}
    line = json_line([Result(0.9, 0.7, 0.2, 100.0, chosen), Result(0.8, 0.8, 0.3, 110.0, chosen)])
    assert "\n" not in line
    found = json.loads(line)
    assert found.keys() == {"accuracy", "hog_lda", "pixels", "train_cpu_seconds", "chosen"}
    assert (found["accuracy"], found["train_cpu_seconds"], found["chosen"]) == ([0.9, 0.8], [100.0, 110.0], chosen)
    assert (found["hog_lda"], found["pixels"]) == (pytest.approx(0.75), pytest.approx(0.25))
