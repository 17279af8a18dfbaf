"""``fec status`` tells from the root alone how far a run is, who is in trouble, and how long it will take."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.summarize.work import split_statuses
from fec import layout
from fec.done import Done, write_done
from fec.errors import ConfigurationError
from fec.storage import open_storage
from fec.task_records import TaskRecord
from pipelines import cli
from pipelines.status import text
from pipelines.status.run_status import RunStatus, StepStatus, run_status, runs

NOW = datetime(2026, 11, 25, 21, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """So many seconds before NOW."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def put(root: Path, run: str, step: str, split: str, group: str, attempt: int = 1, **told: Any) -> None:
    started: dict[str, Any] = {
        "attempt": attempt,
        "pod": f"{run}-1",
        "node": "gke-1",
        "started": at(1000),
        "seen": at(10),
    }
    record = TaskRecord(**{"step": step, "split": split, "group": group, **started, **told})
    path = root / layout.task_dir(run, step, split, group) / f"{attempt}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run that has planned, and whose ten download tasks are: 1 done, 1 failed, 1 killed, 2 at work, 5 to come."""
    write_done(
        open_storage(str(tmp_path)),
        "plan/train",
        Done("plan", "f" * 64, "d" * 64, {"images": 1000, "faces": 1, "triplets": 1}, {"num_shards": 20}),
    )
    put(tmp_path, "fec-b", "plan", "train", "0/1", ended=at(990), exit_code=0)
    images: dict[str, Any] = {"unit": "images", "total": 100}
    put(tmp_path, "fec-b", "download", "train", "0/10", ended=at(500), exit_code=0, done=100, **images)
    put(tmp_path, "fec-b", "download", "train", "1/10", ended=at(400), exit_code=1, line="no network", done=3, **images)
    put(tmp_path, "fec-b", "download", "train", "2/10", seen=at(700), doing="7 of 100 images", done=7, **images)
    put(tmp_path, "fec-b", "download", "train", "3/10", started=at(110), done=60, counts={"known": 40}, **images)
    put(tmp_path, "fec-b", "download", "train", "4/10", 1, ended=at(600), exit_code=1, line="once", **images)
    put(tmp_path, "fec-b", "download", "train", "4/10", 2, started=at(110), seen=at(10), done=30, **images)
    return tmp_path


def status_of(root: Path, run: str = "") -> RunStatus:
    return run_status(open_storage(str(root), read_only=True), run, NOW)


def shown_of(root: Path, run: str = "") -> str:
    return text.as_text(status_of(root, run), split_statuses(open_storage(str(root))), NOW)


def step(status: RunStatus, name: str) -> StepStatus:
    return next(step for step in status.steps if step.name == name)


def test_every_task_is_counted_once_by_its_last_attempt(root: Path) -> None:
    found = step(status_of(root), "download train")
    assert (found.tasks, found.done, found.working, found.failed, found.silent) == (10, 1, 2, 1, 1)
    assert (found.units_done, found.units, found.unit) == (200, 500, "images")


def test_the_rate_is_that_of_the_tasks_at_work_without_what_was_there(root: Path) -> None:
    found = step(status_of(root), "download train")
    assert found.rate == pytest.approx(20 / 100 + 30 / 100)
    # Begun: 97 of the failed, 93 of the killed, 40 and 70 of those at work; and five that have not begun.
    assert found.seconds_left == pytest.approx((97 + 93 + 40 + 70 + 5 * 100) / 0.5)


def test_pod_hours_count_attempts_that_failed_too(root: Path) -> None:
    expected = 500 + 600 + 300 + 100 + 400 + 100
    assert step(status_of(root), "download train").pod_hours == pytest.approx(expected / 3600)


def test_pod_hours_are_told_by_the_nodes_that_the_runs_form_names(root: Path) -> None:
    put(root, "fec-b", "train", "", "0/1", started=at(3600), ended=at(0), exit_code=0)
    assert set(status_of(root).pod_hours_on) == {"any node"}
    form = {
        "data_node_selector": {"cloud.google.com/gke-spot": "true"},
        "train_node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_count": "2",
    }
    (root / layout.run_places("fec-b")).write_text(json.dumps(form))
    status, trained = status_of(root), "cloud.google.com/gke-accelerator=nvidia-l4 (2 nvidia.com/gpu each)"
    assert status.pod_hours_on[trained] == pytest.approx(1)
    assert sum(status.pod_hours_on.values()) == pytest.approx(status.pod_hours)
    assert f"  {status.pod_hours - 1:.2f} on cloud.google.com/gke-spot=true\n" in shown_of(root)


def test_those_in_trouble_are_named_with_what_they_said(root: Path) -> None:
    shown = shown_of(root)
    assert "download train 1/10 (pod fec-b-1 on gke-1): exit code 1: no network" in shown
    assert f"download train 2/10 (pod fec-b-1 on gke-1): not heard of since {at(700)}; 7 of 100 images" in shown
    assert "4/10" not in shown.split("in trouble")[1].split("last sign")[0]
    assert "last sign of life: 10 s ago, download train" in shown
    assert "train: plan yes, download 0 of 20 shards" in shown


def test_one_line_says_what_is_at_work_and_how_long(root: Path) -> None:
    assert text.brief(status_of(root)) == (
        "download train 1 of 10 tasks done, 2 at work, 200 of 500 images, 26 min 40 s left; 2 tasks in trouble"
    )


def test_the_last_run_is_shown_and_another_by_its_name(root: Path) -> None:
    put(root, "fec-a", "plan", "train", "0/1", started=at(5000), ended=at(4900), exit_code=2, line="no such file")
    assert runs(open_storage(str(root))) == ["fec-a", "fec-b"]
    assert status_of(root).run == "fec-b"
    assert "plan train (pod fec-a-1 on gke-1): exit code 2: no such file" in shown_of(root, "fec-a")
    with pytest.raises(ConfigurationError, match="knows fec-a, fec-b"):
        status_of(root, "fec-c")


def test_a_run_that_ended_shows_its_summary(root: Path) -> None:
    summary = {"state": "FAILED", "why": ["plan train ended with exit code 2: no such file"]}
    (root / "runs/fec-b/summary.json").write_text(json.dumps(summary))
    shown = shown_of(root)
    assert "run fec-b: FAILED\n  plan train ended with exit code 2: no such file" in shown
    assert "last sign of life" not in shown


def test_a_root_without_runs_still_says_what_is_finished(tmp_path: Path) -> None:
    shown = shown_of(tmp_path)
    assert "no run of a cluster" in shown
    assert "train: plan no" in shown


@pytest.mark.parametrize("options", [("--json",), ("--json", "--run", "fec-b")])
def test_the_command_shows_it(root: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", str(root), *options])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["steps"][1]["name"] == "download train"
