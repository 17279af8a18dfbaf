"""A whole run: what comes out, and that again is free."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.options import STEPS
from fec.storage import open_storage
from fec.task_records import read_records
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
    again = fec.finish(root)
    assert len(site.requests) == asked
    assert digests(root) == before
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


@pytest.mark.slow
def test_records_do_not_depend_on_the_number_of_shards_or_groups(
    result: dict[str, Any], fec: Fec, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "root"
    few = ("--num-train-shards", "1", "--num-eval-shards", "1", "--max-groups", "1")
    assert fec.run(other, *few, "--until", "records").returncode == 0
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
    with fec.start(tmp_path / "root") as process:
        time.sleep(3)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
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


CLUSTERS = """
import json, sys
from kfp import local
from pipelines.pipeline import pipeline
from pipelines.graph.options import CompileOptions
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
options = CompileOptions(retries=0, registry="ghcr.io/me", volume=(f"pvc:shared:{sys.argv[3]}",))
pipeline(options)(**json.loads(sys.argv[2]))
"""


def run_as_on_a_cluster(folder: Path, **arguments: Any) -> subprocess.CompletedProcess[str]:
    """The pipeline as it is compiled for a cluster, exit handler and all, in kfp.local."""
    return subprocess.run(
        [sys.executable, "-c", CLUSTERS, str(folder), json.dumps(arguments), str(folder.parents[1])],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env=os.environ | {"FEC_RUN": "fec-x7k2p"},
    )


def records_in(root: Path) -> dict[str, int | None]:
    """The exit code of each task by what it wrote of itself."""
    records = read_records(open_storage(str(root)), "fec-x7k2p")
    return {record.name: record.exit_code for record in records}


def summary_in(root: Path) -> dict[str, Any]:
    (path,) = root.glob("runs/*/summary.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_pipeline_of_a_cluster_ends_with_artifacts_and_a_summary(
    result: dict[str, Any], fec: Fec, root: Path, tmp_path: Path
) -> None:
    other, artifacts = tmp_path / "root", tmp_path / "artifacts"
    shutil.copytree(root, other)
    done = run_as_on_a_cluster(
        artifacts,
        train_csv=str(fec.csvs["train"]),
        eval_csv=str(fec.csvs["eval"]),
        root=str(other),
        allow_network=["127.0.0.0/8"],
        requests_per_second=500.0,
        num_train_shards=37,
        num_eval_shards=2,
        max_groups=3,
        train_steps=8,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found = summary_in(other)
    assert found["state"] == "SUCCEEDED"
    assert found["splits"]["train"]["funnel"] == result["funnel"]["train"]
    assert digests(other, "records/", "models/") == digests(root, "records/", "models/")
    written = records_in(other)
    assert {name.partition(" ")[0] for name in written} == set(STEPS) - {"summarize"}
    assert set(written.values()) == {0}
    kept = {path.name: path.read_bytes() for path in artifacts.rglob("*") if path.is_file()}
    assert kept["trained_model"] == Path(result["model"]).read_bytes()
    assert kept["report"] == Path(result["report"]).read_bytes()
    assert kept["summary"].decode().startswith("# ")


def test_the_pipeline_of_a_cluster_that_fails_has_a_summary_too(fec: Fec, tmp_path: Path) -> None:
    done = run_as_on_a_cluster(
        tmp_path / "artifacts",
        train_csv=str(tmp_path / "none.csv"),
        eval_csv=str(fec.csvs["eval"]),
        root=str(tmp_path / "root"),
    )
    assert done.returncode != 0
    found = summary_in(tmp_path / "root")
    assert found["state"] == "FAILED"
    assert records_in(tmp_path / "root") == {"plan eval": 2}
    assert found["splits"]["train"]["finished"] == {"plan": "no"}
