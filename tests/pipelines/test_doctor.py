"""Whether a run would find what it needs, check by check."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.cli import parser
from pipelines.doctor import Asked, State, examine
from tests.fec.dataset_root import make_root

ROW = ",".join([f'"http://{name}.example/{name}.jpg",0.1,0.6,0.1,0.6' for name in "abc"] + ["ONE_CLASS_TRIPLET,r,1"])


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorflow" else found(name))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("doctor"))


def states(**asked: str) -> dict[str, tuple[State, str]]:
    return {finding.check: (finding.state, finding.detail) for finding in examine(Asked(**asked))}


def test_a_machine_that_has_all_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(ROW + "\n")
    csv = str(tmp_path / "list.csv")
    found = states(train_csv=csv, eval_csv=csv, root=str(tmp_path / "root"))
    for check in ("versions", "train list", "eval list", "detector yunet", "root"):
        assert found[check][0] is State.OK
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


def test_tensorflow_that_is_missing_is_a_note() -> None:
    state, detail = states()["accelerator"]
    assert (state, "pip install" in detail, "--until records" in detail) == (State.NOTE, True, True)


@pytest.mark.parametrize(
    ("asked", "check", "words"),
    [
        ({"train_csv": "/nowhere.csv"}, "train list", "No such file"),
        ({"root": "/proc/x"}, "root", "cannot be written"),
        ({"detector": "eyes"}, "detector eyes", "not known"),
        ({"detector": "faced", "weights": "/nowhere"}, "detector faced", "face_yolo.pb"),
        ({"endpoint": "http://127.0.0.1:9"}, "Kubeflow Pipelines", "cannot be reached"),
    ],
)
def test_what_is_wrong_is_one_line(asked: dict[str, str], check: str, words: str) -> None:
    state, detail = states(**asked)[check]
    assert state is State.WRONG
    assert words in detail and "\n" not in detail


@pytest.mark.parametrize(("free", "state"), [(10**9, State.WRONG), (10**12, State.OK)])
def test_room_is_wanted_for_all_of_the_set(
    tmp_path: Path, free: int, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    found = states(root=str(tmp_path))["room"]
    assert (found[0], "60.0 GB wanted for all of FEC (assumed)" in found[1]) == (state, True)


def test_what_is_there_tells_how_much_is_to_come(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.doctor._ENOUGH", 10)
    state, detail = states(root=str(root))["room"]
    assert (state, "0.0 GB wanted for 0 pictures" in detail) == (State.OK, True)


def test_the_command_fails_if_anything_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))
    for root, code in ((str(tmp_path), 0), ("/proc/x", 1)):
        options = parser(["doctor"]).parse_args(["doctor", "--root", root, "--json"])
        assert options.run(options) == code
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {"versions", "root", "accelerator"} <= {one["check"] for one in found}
