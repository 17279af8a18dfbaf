"""A root as a dataset, at every stage of a run: tables whose columns are told, crops, the funnel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pytest

import fec
from fec import dataset_columns
from fec.errors import ConfigurationError, RunFailed
from tests.fec.dataset_root import BROKEN, SIZE, make_root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("dataset"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "root"))


def test_fec_shows_its_few_names_and_nothing_else() -> None:
    assert dir(fec) == sorted(fec.__all__)
    assert all(getattr(fec, name) for name in fec.__all__)


def test_importing_fec_costs_nothing() -> None:
    script = "import sys, fec; print({'pyarrow', 'numpy', 'PIL', 'tensorflow', 'pipelines'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ["images", "faces", "triplets"])
def test_every_column_is_told_and_there_are_no_others(made: Path, name: str) -> None:
    table = getattr(fec.open(str(made)), name)
    assert table.arrow.column_names == list(table.columns) == list(getattr(dataset_columns, name.upper()))
    assert all(text in repr(table) for text in table.columns.values())


def test_both_splits_are_in_every_table(made: Path) -> None:
    dataset = fec.open(str(made))
    for table in (dataset.images, dataset.faces, dataset.triplets):
        assert pc.unique(table["split"]).to_pylist() == ["train", "eval"]


def test_what_became_of_an_image_is_told(made: Path) -> None:
    images = fec.open(str(made)).images
    assert set(images["outcome"].to_pylist()) == {"fetched"}
    assert pc.min(images["bytes"]).as_py() == BROKEN


def test_a_triplet_survived_if_its_faces_did(made: Path) -> None:
    dataset = fec.open(str(made))
    faces = dataset.faces.arrow
    good = set(faces.filter(pc.equal(faces["outcome"], "ok"))["face_id"].to_pylist())
    rows = dataset.triplets.arrow.to_pylist()
    assert [row["survived"] for row in rows] == [{row["face_a"], row["face_b"], row["face_c"]} <= good for row in rows]
    assert {row["survived"] for row in rows} == {True, False}
    assert sum(funnel.records for funnel in dataset.funnel.values()) == sum(row["survived"] for row in rows)


def test_a_crop_is_a_picture(made: Path) -> None:
    dataset = fec.open(str(made))
    kept = dataset.faces["face_id"].filter(pc.is_valid(dataset.faces["crop"]))
    assert (dataset.crop(kept[0].as_py()).size, dataset.crop(kept[0].as_py()).mode) == ((SIZE, SIZE), "RGB")


def test_a_face_without_a_crop_says_why(made: Path) -> None:
    dataset = fec.open(str(made))
    lost = dataset.faces.arrow.filter(pc.equal(dataset.faces["outcome"], "unreadable"))
    with pytest.raises(ConfigurationError, match=r"has no crop: unreadable \(the file is cut short\)"):
        dataset.crop(lost["face_id"][0].as_py())
    with pytest.raises(ConfigurationError, match=r"'nobody'.*none of that id"):
        dataset.crop("nobody")


@pytest.mark.parametrize(("change", "words"), [("unlink", "is missing"), ("write", "not what was stored")])
def test_a_spoiled_crop_is_not_shown(root: Path, change: str, words: str) -> None:
    dataset = fec.open(str(root))
    [row, *_] = dataset.faces.arrow.filter(pc.is_valid(dataset.faces["crop"])).to_pylist()
    path = root / row["crop"]
    path.unlink() if change == "unlink" else path.write_bytes(b"other")
    with pytest.raises(RunFailed, match=words):
        dataset.crop(row["face_id"])


def test_a_root_where_only_the_plan_is_there(root: Path) -> None:
    for path in ("images", "train", "eval", "collect"):
        shutil.rmtree(root / path)
    dataset = fec.open(str(root))
    assert dataset.funnel == {}
    for table, column in ((dataset.images, "outcome"), (dataset.faces, "outcome"), (dataset.triplets, "survived")):
        assert table[column].null_count == len(table) > 0
    with pytest.raises(ConfigurationError, match="not looked at yet"):
        dataset.crop(dataset.faces["face_id"][0].as_py())


@pytest.mark.parametrize("name", ["", "nothing/here"])
def test_a_folder_without_a_dataset_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no dataset|no such folder"):
        fec.open(str(tmp_path / name))
