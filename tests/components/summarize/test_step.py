"""A run's summary says how far it came, whatever is missing."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.summarize.component import summarize
from components.summarize.step import Parameters, run
from components.summarize.work import split_statuses
from fec import layout
from fec.done import Done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.storage import open_storage
from fec.task_records import ToldToStop, recorded


def mark(root: Path, directory: str, step: str, counts: dict[str, int], **details: int) -> None:
    write_done(open_storage(str(root)), directory, Done(step, "f" * 64, "d" * 64, counts, details))


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A root whose train split came as far as one of its two shards, and whose eval split was never planned."""
    root = tmp_path / "root"
    mark(root, "plan/train", "plan", {"images": 10, "faces": 12, "triplets": 20}, num_shards=2)
    mark(root, "images/train/0", "download", {"images": 5, "fetched": 3, "gone": 2})
    mark(root, "train/0", "faces", {"faces": 6, "ok": 2, "no_face": 1, "no_image": 3})
    return root


def test_what_came_from_an_archive_is_in_the_funnel(failed: Path) -> None:
    mark(failed, "images/train/1", "download", {"images": 5, "fetched": 5, "archived": 2})
    assert split_statuses(open_storage(str(failed)))["train"].funnel["from_an_archive"] == 2


def final_status(state: str, error: str = "") -> dsl.PipelineTaskFinalStatus:
    return dsl.PipelineTaskFinalStatus(
        state=state,
        pipeline_job_resource_name="fec-x7k2p",
        pipeline_task_name="run",
        error_code=1 if error else None,
        error_message=error or None,
    )


def test_the_component_says_how_far_a_failed_run_came(failed: Path, tmp_path: Path) -> None:
    page = dsl.Markdown(uri=str(tmp_path / "page.md"))
    path = summarize.python_func(root=str(failed), status=final_status("FAILED", "task download failed"), summary=page)
    assert path == f"{failed}/runs/fec-x7k2p/summary.json"
    found = json.loads(Path(path).read_text())
    assert (found["state"], found["engine"]["error"]) == ("FAILED", "task download failed")
    assert found["why"] == ["the engine says: task download failed"]
    train, evaluation = found["splits"]["train"], found["splits"]["eval"]
    assert train["finished"] == {"plan": "yes", "download": "1 of 2 shards", "faces": "1 of 2 shards"}
    assert train["funnel"] == {"images": 10, "fetched": 3, "faces": 12, "faces_ok": 2, "triplets": 20}
    assert train["lost"] == {"image: gone": 2, "face: no_face": 1, "face: no_image": 3}
    assert evaluation["finished"] == {"plan": "no"}
    assert "workflow=fec-x7k2p" in found["logs"]
    text = Path(page.path).read_text()
    for shown in ("# fec-x7k2p: FAILED", "task download failed", "1 of 2 shards", "| image: gone | 2 | - |"):
        assert shown in text


def test_a_finished_run_names_its_model_and_report(failed: Path) -> None:
    mark(failed, "images/train/1", "download", {"images": 5, "fetched": 5})
    mark(failed, "train/1", "faces", {"faces": 6, "ok": 6})
    mark(failed, "collect/train", "collect", {"triplets_ok": 7, "records": 6, "record_shards": 1})
    mark(failed, layout.record_done_dir("train", 0, 1), "datagen", {})
    mark(failed, "models/tiny-1", "train", {})
    mark(failed, "reports/tiny-1", "evaluate", {})
    found = json.loads(Path(run(Parameters(root=str(failed), run="a", state="SUCCEEDED"))).read_text())
    assert found["models"] == ["tiny-1"]
    assert found["reports"] == [f"{failed}/reports/tiny-1/report.html"]
    assert found["splits"]["train"]["finished"]["datagen"] == "1 of 1 record files"
    assert found["splits"]["train"]["funnel"]["records"] == 6


@pytest.mark.parametrize(
    ("problems", "shards"),
    [
        ((layout.faces_problem(), layout.triplets_problem()), 1),
        ((layout.triplets_problem(),), 0),
        ((layout.PROBLEM, layout.triplets_problem()), 1),
    ],
)
def test_record_files_of_either_layout_count(failed: Path, problems: tuple[str, ...], shards: int) -> None:
    mark(failed, "collect/train", "collect", {"triplets_ok": 7, "records": 6, "record_shards": 2})
    for problem in problems:
        mark(failed, layout.record_done_dir("train", 1, 2, problem), "datagen", {})
    found = json.loads(Path(run(Parameters(root=str(failed), run="a", state="FAILED"))).read_text())
    assert found["splits"]["train"]["finished"]["datagen"] == f"{shards} of 2 record files"


def test_an_empty_root_has_a_summary_too(tmp_path: Path) -> None:
    found = json.loads(Path(run(Parameters(root=str(tmp_path / "new"), state="FAILED"))).read_text())
    assert found["splits"] == {
        split: {
            "finished": {"plan": "no"},
            "left": ["plan", "download", "faces", "collect", "datagen"],
            "funnel": {},
            "lost": {},
        }
        for split in ("train", "eval")
    }


POD = {"KFP_POD_NAME": "fec-x7k2p-1", "FEC_NODE": "gke-1"}


def task(root: Path, step: str, split: str, group: str, error: Exception | None) -> None:
    """A task of the run that ended with ``error``."""
    with contextlib.suppress(Exception), recorded(str(root), step, split, group, POD):
        if error:
            raise error


def killed(root: Path, step: str, split: str, group: str) -> None:
    """A task that was killed while it worked: its last word is that it works."""
    task(root, step, split, group, None)
    path = root / layout.task_dir("fec-x7k2p", step, split, group) / "1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ended": "", "exit_code": None, "doing": "12 of 40"}))


def ended(root: Path, state: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run(Parameters(root=str(root), run="fec-x7k2p", state=state))).read_text())
    return found


def test_a_failed_task_tells_the_cause_that_the_engine_does_not(failed: Path) -> None:
    task(failed, "download", "train", "0/2", None)
    task(failed, "download", "train", "1/2", RunFailed("most images failed for transient causes"))
    found = ended(failed, "FAILED")
    assert found["state"] == "FAILED"
    assert found["why"] == ["download train 1/2 ended with exit code 1: most images failed for transient causes"]
    (of_task,) = found["tasks"]
    assert (of_task["task"], of_task["pod"], of_task["node"], of_task["exit_code"]) == (
        *("download train 1/2", "fec-x7k2p-1", "gke-1"),
        1,
    )
    assert "again goes on where this run was" in found["next"]


def test_a_wrong_configuration_is_to_be_mended_first(failed: Path) -> None:
    task(failed, "plan", "eval", "", ConfigurationError("eval.csv: no such file"))
    found = ended(failed, "FAILED")
    assert found["why"] == ["plan eval ended with exit code 2: eval.csv: no such file"]
    assert "mend what it names" in found["next"]


def test_of_a_killed_task_the_last_sign_of_life_is_told(failed: Path) -> None:
    task(failed, "download", "train", "0/2", None)
    killed(failed, "download", "train", "1/2")
    found = ended(failed, "RUNNING")
    assert found["state"] == "FAILED"
    (why,) = found["why"]
    for word in (
        "the engine says no more than RUNNING",
        "of download train 1/2 on pod fec-x7k2p-1 (12 of 40)",
        "killed",
    ):
        assert word in why


@pytest.mark.parametrize(
    "line",
    [
        "told to stop; what was done is stored, and another attempt goes on from there",
        "told to stop after step 1,200, which is kept: run again, and it goes on from there",  # of train
        "told to stop before a step was made; nothing is lost, run again",
    ],
)
def test_a_task_that_was_told_to_stop_is_no_fault_of_its_own(failed: Path, line: str) -> None:
    task(failed, "faces", "train", "0/1", ToldToStop(line))
    (why,) = ended(failed, "RUNNING")["why"]
    assert "the run was terminated, or its node gke-1 was taken away" in why


def test_a_task_that_failed_and_then_went_well_is_no_cause(failed: Path) -> None:
    task(failed, "download", "train", "0/1", RunFailed("once"))
    task(failed, "download", "train", "0/1", None)
    found = ended(failed, "CANCELED")
    assert (found["state"], found["why"], found["tasks"]) == ("CANCELLED", [], [])


def test_a_success_is_only_said_of_a_run_that_has_made_what_it_promises(failed: Path) -> None:
    found = ended(failed, "COMPLETE")
    assert found["state"] == "FAILED"
    assert "the engine says COMPLETE, but there is no finished download of train, faces of train" in found["why"][0]


def test_where_no_task_said_anything_the_pods_are_to_be_looked_at(tmp_path: Path) -> None:
    (why,) = ended(tmp_path, "RUNNING")["why"]
    assert "no task has written anything" in why


def test_what_a_task_said_does_nothing_to_the_page(failed: Path, tmp_path: Path) -> None:
    task(failed, "plan", "train", "", RunFailed("<img src=x> [a](http://b)"))
    page = tmp_path / "page.md"
    run(Parameters(root=str(failed), run="fec-x7k2p", state="FAILED", page=str(page)))
    assert "<img" not in page.read_text().replace("\\<img", "")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\n"])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected the name of a folder"):
        run(Parameters(root=str(tmp_path), run=name))
    assert list(tmp_path.iterdir()) == []
