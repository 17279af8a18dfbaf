"""A photograph becomes what training would have made of it; what cannot is refused in one line."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fec
from components.train.examples import read_examples
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.layout import TRAIN
from fec.model_card import Preprocessing
from fec.record_files import record_files
from fec.storage import open_storage
from pipelines.demo.photographs import portrait
from pipelines.embedding.embedder import Embedder, load_embedder, prepared
from pipelines.embedding.finding import FaceFinder, read_photograph
from tests.pipelines.embedding.conftest import RUN, SIZE


def test_a_stored_crop_is_prepared_as_its_record_was(root: Path) -> None:
    storage = open_storage(str(root))
    examples = read_examples(storage, record_files(storage, TRAIN))
    dataset = fec.open(str(root))
    for face_id, jpeg in zip(examples.face_ids, examples.jpegs, strict=True):
        trained_on = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert trained_on is not None
        assert np.array_equal(prepared(dataset.crop_bytes(face_id), Preprocessing(SIZE)), trained_on[:, :, ::-1])


def test_an_embedding_has_length_one(embedder: Embedder, photographs: Path) -> None:
    vector = embedder.embed(photographs / "one.jpg")
    assert (str(vector.dtype), vector.shape) == ("float32", (16,))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_photograph_is_embedded_as_the_crop_of_its_face(embedder: Embedder, photographs: Path) -> None:
    [face] = embedder.faces(photographs / "one.jpg")
    assert np.allclose(embedder.embed(photographs / "one.jpg"), embedder.of_crops([face.crop])[0], atol=1e-6)


def test_pixels_are_a_crop_already(embedder: Embedder, root: Path) -> None:
    dataset = fec.open(str(root))
    face_id = dataset.faces["face_id"][0].as_py()
    crop = dataset.crop(face_id)
    assert np.allclose(embedder.embed(crop), embedder.embed(np.asarray(crop)), atol=1e-6)
    stored, others = embedder.of_crops([dataset.crop_bytes(face_id)])[0], dataset.faces["face_id"].to_pylist()[1:]
    apart = embedder.distance(embedder.of_crops(map(dataset.crop_bytes, others)), stored)
    # Both splits have the same photographs, so one of the others is the very same crop.
    assert embedder.distance(embedder.embed(crop), stored) < apart[apart > 1e-4].min() / 2


def test_the_distance_is_euclidean_and_of_many_at_once(embedder: Embedder) -> None:
    assert embedder.distance([1.0, 0.0], [0.0, 1.0]) == pytest.approx(2**0.5)
    assert embedder.distance([[1.0, 0.0], [-1.0, 0.0]], [1.0, 0.0]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("two.jpg", "2 faces where one is wanted: 1 at"),
        ("notes.txt", "not a picture that can be read"),
        ("broken.jpg", "not a picture that can be read"),
        ("none.jpg", "No such file"),
        (".", "Is a directory"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]: expected"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
    ],
)
def test_what_has_not_one_face_is_refused(embedder: Embedder, photographs: Path, picture: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        embedder.embed(photographs / picture if isinstance(picture, str) else picture)


def test_a_picture_without_a_face_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(ConfigurationError, match="no face was found"):
        embedder.embed(tmp_path / "grey.png")


def test_the_faces_of_a_photograph_lie_where_they_are_seen(photographs: Path) -> None:
    faces = FaceFinder(Preprocessing(SIZE)).faces(read_photograph(photographs / "two.jpg"))
    assert [round(face.box.left, 1) for face in faces] == [0.1, 0.7]


def test_a_small_face_in_a_large_photograph_is_found(tmp_path: Path) -> None:
    """One of a fortieth of the width, which is four pixels of what the detector sees of a crop."""
    person = cv2.imdecode(np.frombuffer(portrait("astronaut", 7).data, np.uint8), cv2.IMREAD_COLOR)
    assert person is not None
    small = cv2.resize(person, None, fx=150 / person.shape[1], fy=150 / person.shape[1], interpolation=cv2.INTER_AREA)
    scene = np.full((1400, 2000, 3), 90, np.uint8)
    scene[300 : 300 + small.shape[0], 1200 : 1200 + small.shape[1]] = small
    cv2.imwrite(str(tmp_path / "scene.png"), scene)
    [face] = FaceFinder(Preprocessing(SIZE)).faces(read_photograph(tmp_path / "scene.png"))
    assert face.box.overlap(Box(0.6, 0.675, 0.21, 0.3)) > 0.1


def test_a_found_face_is_cut_as_the_published_boxes_lie(photographs: Path) -> None:
    photograph = read_photograph(photographs / "one.jpg")
    [plain] = FaceFinder(Preprocessing(SIZE)).faces(photograph)
    [grown] = FaceFinder(Preprocessing(SIZE, box_of_found=(-0.1, 1.1, 0.2, 1.0))).faces(photograph)
    wide, high = plain.box.right - plain.box.left, plain.box.bottom - plain.box.top
    assert grown.box.left == pytest.approx(plain.box.left - 0.1 * wide)
    assert grown.box.top == pytest.approx(plain.box.top + 0.2 * high)


@pytest.mark.parametrize("named", [f"models/{RUN}", f"models/{RUN}/", ".", f"models/{RUN}/model.keras"])
def test_a_model_is_named_in_several_ways(root: Path, named: str) -> None:
    assert load_embedder(f"{root}/{named}").card.run == RUN


def _another_run(root: Path) -> None:
    (root / "models" / "other").mkdir()
    (root / "models" / "other" / "model.keras").write_bytes(b"x")


@pytest.mark.parametrize(
    ("change", "model", "words"),
    [
        (lambda root: None, "nowhere", "no such folder.*give ROOT/models/RUN"),
        (lambda root: None, "plan", "no model.keras there, and no run"),
        (lambda root: None, "model.keras", "no such file"),
        (_another_run, ".", "several runs, name one: .*models/other, .*models/untrained"),
        (_another_run, "models/other", "Keras cannot load it"),
        (lambda root: (root / "models" / RUN / "model.json").write_text("{}"), ".", "not a model.json"),
        (
            lambda root: (root / "models" / RUN / "model.json").write_bytes(
                load_card(root, '"image_size": 16', '"image_size": 32')
            ),
            ".",
            "of another model",
        ),
    ],
)
def test_a_model_that_is_none_is_one_line(
    root: Path, tmp_path: Path, change: Callable[[Path], Any], model: str, words: str
) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "root"))
    change(copy)
    with pytest.raises(ConfigurationError, match=words):
        load_embedder(f"{copy}/{model}")


def load_card(root: Path, old: str, new: str) -> bytes:
    return (root / "models" / RUN / "model.json").read_text().replace(old, new).encode()


def test_a_model_without_its_json_is_taken_by_its_shape(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_bytes((root / "models" / RUN / "model.keras").read_bytes())
    card = load_embedder(tmp_path / "mine.keras").card
    assert (card.preprocessing, card.dimension) == (Preprocessing(SIZE), 16)


def test_without_tensorflow_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"TensorFlow is not installed: pip install 'fec\[train\]'"):
        load_embedder(root)
