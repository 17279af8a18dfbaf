"""A split held to a list keeps what it names and has, and says which list it was."""

import json
from pathlib import Path

import pytest

from components.collect.step import Parameters, run
from fec import layout
from fec.done import read_done
from fec.errors import ConfigurationError, RunFailed
from fec.storage import open_storage
from fec.subsets import parse, to_csv
from tests.components.collect.scene import Scene, write
from tests.components.collect.test_step import funnel, table


def listed(scene: Scene, *rows: int) -> bytes:
    """The list of these triplets of a scene."""
    faces = [[scene.face_id(face) for face in scene.triplets[row][0]] for row in rows]
    return to_csv({"split": "train", "face_a": a, "face_b": b, "face_c": c} for a, b, c in faces)


def collected(root: Path, subset: str = "") -> None:
    run(Parameters(str(root / "root"), layout.TRAIN, subset=subset))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene.of(12)
    write(tmp_path / "root", made)
    return made


def test_only_what_is_listed_is_kept_and_counted(tmp_path: Path, scene: Scene) -> None:
    data = listed(scene, 1, 3, 4)
    (tmp_path / "list.csv").write_bytes(data)
    collected(tmp_path)
    whole = funnel(tmp_path / "root")
    collected(tmp_path, str(tmp_path / "list.csv"))
    assert sorted(row["line"] for row in table(tmp_path / "root", "triplets")) == [2, 4, 5]
    kept = funnel(tmp_path / "root")
    assert whole["subset"] is None
    assert kept["subset"] == {"fingerprint": parse(data, "").fingerprint, "listed": 3, "left_out": 9}
    assert kept["triplets_ok"] == whole["triplets_ok"] == 12
    done = read_done(open_storage(str(tmp_path / "root")), layout.collect_dir(layout.TRAIN))
    assert done is not None and done.details["subset"] == parse(data, "").fingerprint


def test_the_same_list_elsewhere_is_no_other(tmp_path: Path, scene: Scene) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_bytes(listed(scene, 1, 3))
    collected(tmp_path, str(tmp_path / "one.csv"))
    before = (tmp_path / "root" / "collect" / "train" / "_DONE.json").stat().st_mtime_ns
    collected(tmp_path, str(tmp_path / "two.csv"))
    assert (tmp_path / "root" / "collect" / "train" / "_DONE.json").stat().st_mtime_ns == before
    (tmp_path / "two.csv").write_bytes(listed(scene, 1, 3, 5))
    collected(tmp_path, str(tmp_path / "two.csv"))
    assert json.loads((tmp_path / "root/collect/train/funnel.json").read_text())["records"] == 3


def test_a_list_that_names_nothing_of_the_split_says_so(tmp_path: Path, scene: Scene) -> None:
    data = to_csv([{"split": "eval", "face_a": "a" * 16, "face_b": "b" * 16, "face_c": "c" * 16}])
    (tmp_path / "list.csv").write_bytes(data)
    with pytest.raises(RunFailed, match="12 are not in the subset"):
        collected(tmp_path, str(tmp_path / "list.csv"))


def test_a_list_that_is_not_there_is_one_line(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        collected(tmp_path, str(tmp_path / "none.csv"))
