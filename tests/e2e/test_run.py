"""A whole run: what comes out, and that again is free."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.demo.scenario import Scenario
from pipelines.demo.site import Site
from tests.e2e.conftest import TIMEOUT, Fec, digests

pytestmark = pytest.mark.timeout(2 * TIMEOUT)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # kfp.local replaces the text "python3" in a task's command line: a root that has it must come through whole.
    return tmp_path_factory.mktemp("python3") / "root"


@pytest.fixture(scope="module")
def result(fec: Fec, root: Path) -> dict[str, Any]:
    return fec.finish(root)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_funnel_is_what_the_web_was_made_for(result: dict[str, Any], web: Scenario, split: str) -> None:
    assert result["funnel"][split] == web.expected_funnel(split)


def test_the_result_names_what_was_made(result: dict[str, Any], root: Path) -> None:
    assert list(result) == ["root", "funnel", "triplet_accuracy", "report", "model", "seconds"]
    assert list(result["triplet_accuracy"]) == ["overall", "one_class", "two_class", "three_class"]
    assert 0 <= result["triplet_accuracy"]["overall"] <= 1
    assert result["root"] == str(root)
    assert "<html" in Path(result["report"]).read_text().lower()
    assert Path(result["model"]).is_file()


def test_no_unfinished_work_is_left(result: dict[str, Any], root: Path) -> None:
    assert [path for path in root.rglob(".work/**/*") if path.is_file()] == []


def test_again_it_fetches_nothing_and_leaves_every_byte(
    result: dict[str, Any], fec: Fec, root: Path, site: Site
) -> None:
    before, asked = digests(root), len(site.requests)
    started = time.monotonic()
    again = fec.finish(root)
    assert time.monotonic() - started < 20  # 5 s by itself; the tests share their machine
    assert len(site.requests) == asked
    assert digests(root) == before
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


def test_records_do_not_depend_on_the_number_of_shards_or_groups(
    result: dict[str, Any], fec: Fec, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "root"
    fec.finish(other, "--num-train-shards", "1", "--num-eval-shards", "1", "--max-groups", "1")
    assert len(list((root / "train").iterdir())) == 37
    assert len(list((other / "train").iterdir())) == 1
    assert digests(other, "records/fec_base") == digests(root, "records/fec_base")


@pytest.mark.slow
def test_more_training_fetches_nothing_and_keeps_the_records(
    result: dict[str, Any], fec: Fec, root: Path, site: Site, tmp_path: Path
) -> None:
    other = tmp_path / "root"
    shutil.copytree(root, other)
    asked = len(site.requests)
    fec.finish(other, "--train-steps", "12")
    assert len(site.requests) == asked
    assert digests(other, "records/") == digests(root, "records/")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_promptly_and_says_so(fec: Fec, tmp_path: Path, number: signal.Signals) -> None:
    process = fec.start(tmp_path / "root")
    time.sleep(3)
    started = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - started < 5
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == f"stopped by {number.name}; the same command goes on where it was"
    assert "Traceback" not in said
    assert not running_on(tmp_path)


def running_on(folder: Path) -> list[str]:
    """Command lines of the processes that name ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(process.parent.name) != os.getpid():
            found.append(line)
    return found
