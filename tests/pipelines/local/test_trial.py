"""``fec dev``: what it refuses, what it takes of the long job, which step it blames. tests/e2e runs it to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.form import RunParameters
from fec.storage import open_storage
from pipelines.local.trial import MAX_TRIPLETS, Trial, options_of

ROWS = 1000


def dev(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "dev", *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        env={**os.environ, **environment},
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def csv(tmp_path: Path) -> str:
    """Annotations of pictures that may not be fetched: they lie on this machine."""
    path = tmp_path / "annotations.csv"
    votes = ",".join(f"rater{number},1" for number in range(6))
    with path.open("w") as file:
        for row in range(ROWS):
            faces = ",".join(f'"http://127.0.0.1:9/{row}-{name}.jpg",0.1,0.6,0.1,0.6' for name in "abc")
            file.write(f"{faces},ONE_CLASS_TRIPLET,{votes}\n")
    return str(path)


def test_one_list_without_the_other_is_refused(csv: str) -> None:
    assert_one_line(dev("--train-csv", csv), "--train-csv and --eval-csv", "both")


def test_without_an_interpreter_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    done = dev("--t2t", "--t2t-python", str(tmp_path / "python"))
    assert_one_line(done, str(tmp_path / "python"), "make install-t2t", "--t2t-python PATH", "FEC_T2T_PYTHON")


def test_an_interpreter_without_tensor2tensor_is_refused() -> None:
    done = dev("--t2t", FEC_T2T_PYTHON=sys.executable)
    assert_one_line(done, f"{sys.executable} has no Tensor2Tensor", "make install-t2t")


def test_what_would_stop_the_long_job_stops_it_at_once(csv: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert_one_line(dev("--train-csv", csv, "--eval-csv", str(tmp_path / "none.csv"), "--root", str(root)), "none.csv")


@pytest.mark.slow
def test_it_takes_little_touches_nothing_else_and_names_the_step_that_fails(csv: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    done = dev("--train-csv", csv, "--eval-csv", csv, "--root", str(root))
    assert done.returncode == 1
    lines = [line.rsplit(maxsplit=2)[0].split() for line in done.stdout.splitlines()]
    assert lines == [
        ["plan", "of", "train", "ok"],
        ["download", "of", "train", "ok"],
        ["faces", "of", "train", "ok"],
        ["collect", "of", "train", "failed"],
    ]
    assert done.stderr.splitlines()[-1].startswith("fec dev: error:")
    assert [path.name for path in root.iterdir()] == ["dev"]
    counts = json.loads((root / "dev" / "plan" / "train" / "_DONE.json").read_text())["counts"]
    assert (counts["shards"], counts["rows"]) == (1, ROWS)
    assert MAX_TRIPLETS // 2 < counts["triplets"] <= MAX_TRIPLETS


def test_originals_outlive_what_was_made_of_them(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    for path in ("images/train/0/segment-00000.tar", "train/0/crop.jpg", "records/_done/x/_DONE.json", "mine.txt"):
        storage.write(path, b"x")
    Trial(RunParameters(train_csv="", eval_csv="", root=str(tmp_path)), sys.stdout).clear()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"images/train/0/segment-00000.tar", "mine.txt"}


@dataclass(frozen=True)
class Step:
    root: str
    num_shards: int
    networks: tuple[str, ...] = ()
    fast: bool = False


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({"root": "-r", "num_shards": 3, "unknown": 1}, ["--root=-r", "--num-shards=3"]),
        ({"networks": ("10.0.0.0/8", "::1/128")}, ["--networks=10.0.0.0/8", "--networks=::1/128"]),
        ({"networks": ()}, []),
        ({"fast": True}, ["--fast"]),
        ({"fast": False}, ["--no-fast"]),
    ],
)
def test_a_step_gets_the_options_it_has(values: dict[str, Any], options: list[str]) -> None:
    assert options_of(Step, values) == options
