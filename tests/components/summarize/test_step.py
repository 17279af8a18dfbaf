"""A run's summary says how far it came, whatever is missing."""

import json
from pathlib import Path

import pytest
from kfp import dsl

from components.summarize.component import summarize
from components.summarize.step import Parameters, run
from fec import layout
from fec.done import Done, write_done
from fec.errors import ConfigurationError
from fec.storage import open_storage


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
    assert (found["state"], found["error"]) == ("FAILED", "task download failed")
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


def test_an_empty_root_has_a_summary_too(tmp_path: Path) -> None:
    found = json.loads(Path(run(Parameters(root=str(tmp_path / "new"), state="FAILED"))).read_text())
    assert found["splits"] == {
        split: {"finished": {"plan": "no"}, "funnel": {}, "lost": {}} for split in ("train", "eval")
    }


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\n"])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected the name of a folder"):
        run(Parameters(root=str(tmp_path), run=name))
    assert list(tmp_path.iterdir()) == []
