"""Of records in which each face lies once training reads what it reads of those whose triplets hold their faces."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drawn_faces import Regime, write_faces
from components.collect import step as collect
from components.datagen import step as datagen
from components.train.examples import Examples, read_examples
from components.train.step import Parameters, run
from fec import layout
from fec.errors import RunFailed
from fec.layout import TRAIN
from fec.record_files import record_files, record_files_of_any_layout
from fec.storage import open_storage
from pipelines.folders.drawing import drawn_triplets
from pipelines.folders.pictures import pictures_of
from pipelines.folders.root import write_root

SIZE = 16


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of 120 triplets of few faces, in three record files of each kind; not to be written to."""
    folder = tmp_path_factory.mktemp("both")
    write_faces(folder / "faces", Regime(people=5, pictures=6, noise=6, jitter=0.4, mislabelled=0.0))
    drawn = drawn_triplets(pictures_of(folder / "faces", "^(S[0-9]+)_"), 120, seed=0)
    write_root(folder / "root", {TRAIN: drawn}, SIZE)
    root = str(folder / "root")
    collect.run(collect.Parameters(root=root, split=TRAIN, record_shards=3))
    datagen.run(datagen.Parameters(root, TRAIN, "0/1", image_size=SIZE, layout="both"))
    return folder / "root"


def without(root: Path, target: Path, *problems: str) -> Path:
    """A copy of ``root`` without the records of these problems."""
    shutil.copytree(root, target)
    for problem in problems:
        for path in (target / "records").glob(f"{problem}-*"):
            path.unlink()
    return target


def read(root: Path) -> Examples:
    storage = open_storage(str(root))
    return read_examples(storage, record_files_of_any_layout(storage, TRAIN))


@pytest.fixture
def apart(both: Path, tmp_path: Path) -> Path:
    """A root of which only records with each face once are left."""
    return without(both, tmp_path / "apart", layout.PROBLEM)


def test_either_layout_gives_the_same_examples(both: Path, apart: Path) -> None:
    storage = open_storage(str(both))
    inside, once = read_examples(storage, record_files(storage, TRAIN)), read(apart)
    assert len(inside) == 120
    assert len(inside.jpegs) < 120
    assert list(once.face_ids) == list(inside.face_ids)
    assert list(once.jpegs) == list(inside.jpegs)
    assert np.array_equal(once.faces, inside.faces)
    assert np.array_equal(once.labels, inside.labels)


def test_from_a_bucket_they_are_the_same(apart: Path, bucket: str) -> None:
    storage = open_storage(bucket)
    for path in (*apart.glob("records/**/*"), *apart.glob("collect/**/*")):
        if path.is_file():
            storage.write(path.relative_to(apart).as_posix(), path.read_bytes())
    here, there = read(apart), read_examples(storage, record_files_of_any_layout(storage, TRAIN))
    assert list(there.jpegs) == list(here.jpegs)
    assert np.array_equal(there.faces, here.faces)


@pytest.mark.slow
@pytest.mark.parametrize("batches", ["plain", "shared"])
def test_either_layout_gives_the_same_model(
    both: Path, apart: Path, tmp_path: Path, batches: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = without(both, tmp_path / "inside", layout.faces_problem())
    models = []
    for root in (inside, apart):
        name = run(Parameters(root=str(root), steps=4, batch_size=6, batches=batches))
        models.append((root / layout.model_dir(name) / "model.keras").read_bytes())
    assert models[0] == models[1]
    said = capsys.readouterr().err
    assert said.index("reads triplets that hold their faces") < said.index("reads each face once")


@pytest.mark.parametrize("problem", [layout.faces_problem(), layout.triplets_problem()])
def test_a_spoiled_file_is_named(apart: Path, problem: str) -> None:
    path = apart / layout.record_file(TRAIN, 1, 3, problem)
    spoiled = bytearray(path.read_bytes())
    spoiled[20] ^= 1
    path.write_bytes(bytes(spoiled))
    with pytest.raises(RunFailed, match=f"{problem}-train-00001-of-00003: the record at byte 0 does not match"):
        read(apart)


@pytest.mark.parametrize(
    ("problem", "source", "target", "said"),
    [
        (layout.faces_problem(), 0, 1, "the face .* lies there twice"),
        (layout.triplets_problem(), 2, 0, "with a face that no file of faces up to it holds"),
    ],
)
def test_files_that_do_not_belong_together_are_named(
    apart: Path, problem: str, source: int, target: int, said: str
) -> None:
    ours, other = (apart / layout.record_file(TRAIN, number, 3, problem) for number in (target, source))
    files = record_files_of_any_layout(open_storage(str(apart)), TRAIN)
    ours.write_bytes(other.read_bytes())
    with pytest.raises(RunFailed, match=f"{ours.name}: .*{said}.*; delete it and run the datagen step again"):
        read_examples(open_storage(str(apart)), files)


def test_triplets_of_another_collection_are_told(apart: Path) -> None:
    first, second = (apart / layout.record_file(TRAIN, number, 3, layout.triplets_problem()) for number in (0, 1))
    files = record_files_of_any_layout(open_storage(str(apart)), TRAIN)
    second.write_bytes(first.read_bytes())
    with pytest.raises(RunFailed, match=r"are not those of collect/train/triplets\.parquet; delete them"):
        read_examples(open_storage(str(apart)), files)


def test_without_the_table_that_has_their_order_the_collect_step_is_asked_for(apart: Path) -> None:
    (apart / layout.collect_dir(TRAIN) / "triplets.parquet").unlink()
    with pytest.raises(RunFailed, match=r"triplets\.parquet cannot be read .*: run the collect step again"):
        read(apart)
