"""The photographs and boxes of a user, as benchmarks/faces.py takes them."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import faces
from benchmarks.boxed_photographs import boxed_photographs
from fec.boxes import Box
from tests.components.faces.scene import encoded


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(encoded(np.zeros((20, 30, 3), np.uint8)))
    (folder / "none.jpg").write_bytes(b"none")
    return folder


def test_boxes_are_gathered_by_their_file(images: Path, tmp_path: Path) -> None:
    csv = tmp_path / "boxes.csv"
    csv.write_text("one.jpg,0.1,0.5,0.2,0.6\n\none.jpg,0.5,1,0,1\n")
    [photograph] = boxed_photographs(images, csv)
    assert photograph.boxes == (Box(0.1, 0.5, 0.2, 0.6), Box(0.5, 1.0, 0.0, 1.0))


def test_what_cannot_be_decoded_is_left_out_and_told(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = tmp_path / "boxes.csv"
    csv.write_text("none.jpg,0.1,0.5,0.2,0.6\none.jpg,0.1,0.5,0.2,0.6\n")
    assert len(boxed_photographs(images, csv)) == 1
    assert capsys.readouterr().out.startswith("left out: none.jpg: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "boxes.csv cannot be read: No such file or directory"),
        (b"", "boxes.csv names no file"),
        (b"\xff\xfe\x00", "boxes.csv is no CSV in UTF-8"),
        (b"file,left,right,top,bottom\n", "boxes.csv:1: expected file,left,right,top,bottom with fractions"),
        (b"one.jpg,0.1,0.5,0.2,0.6\none.jpg,10,50,20,60\n", "boxes.csv:2: expected file,left,right,top,bottom"),
        (b"one.jpg,0.1,0.5,0.2\n", "found 'one.jpg,0.1,0.5,0.2'"),
        (b"one.jpg,0.5,0.1,0.2,nan\n", "found 'one.jpg,0.5,0.1,0.2,nan'"),
        (b"one.jpg,0,1,0,1\ntwo.jpg,0,1,0,1\n", "1 of the 2 files that "),
        (b"none.jpg,0,1,0,1\n", "none of the 1 files that "),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_measured(
    images: Path, tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = tmp_path / "boxes.csv"
    if content is not None:
        csv.write_bytes(content)
    assert faces.main(["--images", str(images), "--boxes", str(csv)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_folder_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "boxes.csv"
    csv.write_text("one.jpg,0.1,0.5,0.2,0.6\n")
    assert faces.main(["--images", str(tmp_path / "nowhere"), "--boxes", str(csv)]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err


def test_one_without_the_other_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        faces.main(["--images", "folder"])
    assert "--images and --boxes go together" in capsys.readouterr().err
