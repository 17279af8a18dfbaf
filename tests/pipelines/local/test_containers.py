"""What a run in containers sees of this machine."""

from pathlib import Path

import pytest

from pipelines.graph.options import LOCAL
from pipelines.local import containers
from pipelines.pipeline import pipeline


def test_relative_paths_are_seen_from_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    given = {"root": "root", "train_csv": "root/train.csv", "eval_csv": "eval.csv", "detector_weights": "", "seed": 0}
    absolute, found = containers.on_this_machine(given, "d", "t")
    assert absolute["root"] == f"{tmp_path}/root"
    assert found == containers.Containers("d", "t", (f"{tmp_path}/eval.csv",), (f"{tmp_path}/root",))


def test_remote_paths_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    given = {"root": "gs://b/r", "train_csv": "https://a/x.zip", "eval_csv": "gs://b/e", "detector_weights": ""}
    assert containers.on_this_machine(given, "d", "t") == (given, containers.Containers("d", "t"))


def test_the_components_run_in_the_images_asked_for() -> None:
    defined = pipeline(LOCAL)
    containers.use_images(defined, containers.Containers("here/data:1", "here/train:1"))
    executors = defined.pipeline_spec.deployment_spec["executors"]
    used = {name: executor["container"]["image"] for name, executor in executors.items()}
    assert used["exec-download"] == "here/data:1"
    assert used["exec-train"] == used["exec-evaluate"] == "here/train:1"
    assert set(used.values()) == {"here/data:1", "here/train:1"}


def test_a_run_of_processes_has_no_containers(tmp_path: Path) -> None:
    assert containers.Containers.load(tmp_path) is None


def test_the_settings_reach_the_process_that_runs_the_pipeline(tmp_path: Path) -> None:
    settings = containers.Containers("d:1", "t:1", ("/a.csv",), ("/root",))
    settings.save(tmp_path)
    assert containers.Containers.load(tmp_path) == settings
