"""``fec embed`` and ``fec similar``: what they give, and one line for what they cannot take."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import fec
from fec import embeddings
from fec.errors import ConfigurationError
from fec.storage import open_storage
from pipelines.cli import parser
from pipelines.demo.photographs import portrait
from pipelines.embedding import neighbours, sheet
from pipelines.embedding.embedder import Embedder, prepared
from tests.pipelines.embedding.conftest import RUN

BOXES = "picture,left,right,top,bottom\n"


def run(*arguments: str | Path) -> int:
    options = parser([str(arguments[0])]).parse_args([str(argument) for argument in arguments])
    code: int = options.run(options)
    return code


def test_every_face_is_printed_with_its_numbers(
    root: Path, photographs: Path, embedder: Embedder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", root, photographs / "one.jpg", photographs / "two.jpg", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(Path(row["picture"]).name, row["face"]) for row in rows] == [
        ("one.jpg", 1),
        ("two.jpg", 1),
        ("two.jpg", 2),
    ]
    assert np.allclose(rows[0]["embedding"], embedder.embed(photographs / "one.jpg"), atol=1e-5)


def test_a_mirrored_model_gives_what_is_between_a_face_and_its_mirror_image(
    mirrored_model: Path, photographs: Path, embedder: Embedder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", mirrored_model, photographs / "one.jpg", "--json") == 0
    found = json.loads(capsys.readouterr().out)["embedding"]
    [face] = embedder.faces(photographs / "one.jpg")
    pixels = prepared(face.crop, embedder.card.preprocessing).astype(np.float32)
    between = np.asarray(embedder.network(np.stack([pixels, pixels[:, ::-1]]))).sum(axis=0)
    assert np.allclose(found, between / np.linalg.norm(between), atol=1e-5)


def test_a_folder_becomes_a_table_in_which_what_failed_is_a_row(root: Path, photographs: Path, tmp_path: Path) -> None:
    assert run("embed", root, photographs, "-o", tmp_path / "faces.parquet") == 0
    table = pq.read_table(tmp_path / "faces.parquet")
    outcomes = {(Path(row["picture"]).name, row["outcome"]) for row in table.to_pylist()}
    assert outcomes == {("broken.jpg", "unreadable"), ("one.jpg", "ok"), ("other.jpg", "ok"), ("two.jpg", "ok")}
    assert table["embedding"].null_count == 1
    assert {len(vector) for vector in table["embedding"].drop_null().to_pylist()} == {16}


def test_boxes_say_where_the_faces_are(root: Path, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = photographs.parent / "boxes.csv"
    csv.write_text(f"{BOXES}{photographs.name}/one.jpg,0.1,0.6,0.2,0.7\n")
    assert run("embed", root, photographs / "one.jpg", photographs / "two.jpg", "--boxes", csv, "--json") == 0
    one, other = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["box"], one["confidence"]) == ([0.1, 0.6, 0.2, 0.7], None)
    assert (other["outcome"], other["detail"]) == ("no_face", "no box is given for it")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["notes.txt"], "notes.txt: not a picture that can be read"),
        (["none.jpg"], "no such picture or folder"),
        (["empty"], "no pictures in this folder"),
        (["one.jpg", "--output", "x.csv"], "ends in .parquet"),
        (["one.jpg", "--output", "no/such/x.parquet"], "there is no folder"),
        (["one.jpg", "--boxes", "none.csv"], "No such file"),
        (["one.jpg", "--boxes", "columns.csv"], "no column left; expected picture, left"),
        (["one.jpg", "--boxes", "numbers.csv"], "numbers.csv, line 2: an edge that is no number"),
        (["one.jpg", "--boxes", "turned.csv"], "turned.csv, line 2: expected fractions with left < right"),
        (["one.jpg", "--boxes", "one.jpg"], "not a CSV"),
    ],
)
def test_what_cannot_be_embedded_is_one_line(root: Path, photographs: Path, arguments: list[str], words: str) -> None:
    (photographs / "empty").mkdir(exist_ok=True)
    for name, text in (
        ("columns", "picture\n"),
        ("numbers", BOXES + "a,1,2,x,4\n"),
        ("turned", BOXES + "a,.5,.1,0,1\n"),
    ):
        (photographs / f"{name}.csv").write_text(text)
    given = [word if word.startswith("--") else photographs / word for word in arguments]
    with pytest.raises(ConfigurationError, match=words):
        run("embed", root, *given)


def test_the_nearest_come_first_and_are_drawn(
    root: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "query.jpg").write_bytes(portrait("astronaut", 0).data)
    arguments = ("--among", root, "-n", "8", "--json", "-o", tmp_path / "near.png")
    assert run("similar", root, tmp_path / "query.jpg", *arguments) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    distances = [row["distance"] for row in rows]
    assert len(rows) == 8 and distances == sorted(distances)
    assert all(row["source"].startswith("http://") for row in rows)
    with Image.open(tmp_path / "near.png") as drawn:
        width, height = drawn.size
    assert width > 7 * sheet._SIDE and height > 2 * sheet._SIDE


def test_among_a_folder_the_same_picture_is_the_nearest(
    root: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("similar", root, photographs / "two.jpg", "--face", "2", "--among", photographs, "--json") == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["name"], first["distance"]) == ("two.jpg (face 2)", 0)


def test_what_an_evaluation_has_stored_is_not_computed_again(
    root: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(str(root))
    dataset = fec.open(str(root))
    ids = dataset.faces["face_id"].to_pylist()
    vectors = np.eye(len(ids), 16, dtype=np.float32)
    splits = dataset.faces["split"].to_pylist()
    stored = embeddings.Embeddings(ids, dataset.faces["image_id"].to_pylist(), splits, vectors)
    embeddings.write_embeddings(storage, RUN, stored)
    try:
        from pipelines.embedding.models import find_model

        monkeypatch.setattr(Embedder, "of_crops", None)
        found = neighbours.candidates_among(str(root), embedder, find_model(str(root)))
    finally:
        storage.delete(f"reports/{RUN}/embeddings.parquet")
    row = found.names.index(ids[3])
    assert found.vectors[row].tolist() == vectors[3].tolist()
    assert found.crop(row) == dataset.crop_bytes(ids[3])


@pytest.mark.parametrize(
    ("image", "among", "words"),
    [
        ("two.jpg", ".", "2 faces where one is wanted.*name one by --face N"),
        ("none.jpg", ".", "No such file"),
        ("one.jpg", "nowhere", "no such picture or folder"),
        ("one.jpg", "empty", "no pictures in this folder"),
    ],
)
def test_what_has_no_neighbours_is_one_line(root: Path, photographs: Path, image: str, among: str, words: str) -> None:
    (photographs / "empty").mkdir(exist_ok=True)
    with pytest.raises(ConfigurationError, match=words):
        run("similar", root, photographs / image, "--among", photographs / among)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-n", "0"], "--nearest 0"),
        (["-o", "x.jpg"], "ends in .png"),
        (["--face", "3"], "--face 3, but faces found in it: 1"),
    ],
)
def test_an_option_of_no_use_is_one_line(root: Path, photographs: Path, options: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        run("similar", root, photographs / "one.jpg", "--among", photographs, *options)


def test_a_long_name_is_cut_to_fit_under_its_face() -> None:
    crop = portrait("astronaut", 0).data
    near = neighbours.Neighbour("name " * 40, "", 0.5, crop)
    drawn = sheet.draw(crop, "me", [near])
    data = io.BytesIO()
    drawn.save(data, format="PNG")
    assert drawn.size == (3 * sheet._GAP + 2 * sheet._SIDE + 16, 2 * sheet._GAP + sheet._SIDE + sheet._CAPTION)
