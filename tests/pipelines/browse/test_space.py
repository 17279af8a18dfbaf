"""The embedding of a root: neighbours, and the map."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fec.embeddings import Embeddings, write_embeddings
from fec.errors import ConfigurationError
from fec.storage import open_storage
from pipelines.browse.space import COLUMNS, ROWS, Space, View, read_space


def cloud(count: int) -> Space:
    """Faces by chance, two a photograph; the last is there in both splits."""
    vectors = np.random.default_rng(0).normal(size=(count, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"f{number}" for number in range(count)]
    splits = ["train"] * count + ["eval"]
    images = [f"i{number // 2}" for number in range(count)]
    return Space("run", splits, [*ids, ids[-1]], [*images, images[-1]], [*vectors, vectors[-1]])


def test_neighbours_are_the_nearest_of_other_photographs_and_each_once() -> None:
    space = cloud(50)
    apart = {
        face: float(np.linalg.norm(space.vectors[int(face[1:])] - space.vectors[4]))
        for face in (f"f{number}" for number in range(50) if number // 2 != 2)
    }
    found = space.near_face(4, 49)
    assert [near.face_id for near in found] == sorted(apart, key=lambda face: apart[face])
    assert found[0].distance == pytest.approx(min(apart.values()))
    assert space.near(space.vectors[7], 2)[0].face_id == "f7"


def test_zooming_in_shows_what_lay_under_one_face() -> None:
    space = cloud(5000)
    whole = space.cells(View())
    assert sum(1 + cell.others for cell in whole) == len(space)
    assert len({(cell.column, cell.row) for cell in whole}) == len(whole)
    assert all(0 <= cell.column < COLUMNS and 0 <= cell.row < ROWS for cell in whole)
    fullest = max(whole, key=lambda cell: cell.others)
    view = View((fullest.column + 0.5) / COLUMNS, (fullest.row + 0.5) / ROWS, ROWS)
    assert sum(1 + cell.others for cell in space.cells(view)) > fullest.others


def test_a_face_lies_where_the_map_says() -> None:
    space = cloud(300)
    x, y = space.place_of(space.vectors[5])
    near = View(x, y, 32).zoomed(2)
    assert any(cell.face_id == "f5" or cell.others for cell in space.cells(near))


@pytest.mark.parametrize("moves", [[(-9, 0)], [(9, 9)], [(0.25, -0.25)] * 30])
def test_a_view_stays_on_the_map(moves: list[tuple[float, float]]) -> None:
    view = View(0.5, 0.5, 4)
    for across, down in moves:
        view = view.moved(across, down)
    assert 0 <= view.x <= 1
    assert 0 <= view.y <= 1
    assert view.zoomed(1e9).zoom == 64
    assert view.zoomed(1e-9).zoom == 1


def test_of_several_runs_one_must_be_named(tmp_path: object) -> None:
    storage = open_storage(str(tmp_path))
    assert read_space(storage, "") is None
    one = Embeddings(["f"], ["i"], ["train"], np.ones((1, 4), np.float32))
    for run in ("first", "second"):
        write_embeddings(storage, run, one)
    with pytest.raises(ConfigurationError, match="--run first, --run second"):
        read_space(storage, "")
    found = read_space(storage, "second")
    assert found is not None
    assert found.run == "second"
    with pytest.raises(ConfigurationError, match="has no embeddings"):
        read_space(storage, "third")


def test_a_triplet_with_a_face_that_has_no_vector_has_no_answer() -> None:
    space = cloud(9)
    columns = [pa.array(names) for names in (["f0", "f0"], ["f1", "nobody"], ["f2", "f2"])]
    found = space.answers(columns, "train")
    assert found[0].as_py() in (1, 2, 3)
    assert found[1].as_py() is None
