"""A run that asks for what an earlier one has finished deals out one group; another deals out all."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from components import again
from components.collect.component import collect
from components.plan.component import plan
from components.summarize.step import Parameters as Summary
from components.summarize.step import run as summarize
from fec import layout
from fec.errors import RunFailed
from fec.storage import open_storage

FORM: dict[str, Any] = {"root": "gs://bucket/fec", "seed": 0, "options": {"faces": {"crop_quality": 90}}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root on which the run fec-a was asked for FORM and has finished it; it is now fec-b that runs."""
    storage = open_storage(str(tmp_path / "root"))
    again.note(storage, "fec-a", FORM, {})
    again.note_finished(storage, "fec-a")
    monkeypatch.setenv("FEC_RUN", "fec-b")
    return str(tmp_path / "root")


def test_the_same_again_needs_one_group(root: str) -> None:
    again.note(open_storage(root), "fec-b", FORM, {"data_node_selector": {"disktype": "ssd"}})
    assert again.one_group_if_finished(root) == {"max_groups": 1}


@pytest.mark.parametrize("form", [FORM | {"seed": 1}, FORM | {"options": {}}, {"root": "gs://bucket/fec"}])
def test_another_run_needs_all(root: str, form: dict[str, Any]) -> None:
    again.note(open_storage(root), "fec-b", form, {})
    assert again.one_group_if_finished(root) == {}


def test_what_other_code_has_finished_is_done_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.faces.parameters.Parameters.version", 1000)
    again.note(open_storage(root), "fec-b", FORM, {})
    assert again.one_group_if_finished(root) == {}


def test_without_an_engine_or_a_note_of_the_first_task_nothing_changes(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert again.one_group_if_finished(root) == {}
    monkeypatch.delenv("FEC_RUN")
    assert again.one_group_if_finished(root) == {}


def test_the_tasks_that_deal_out_groups_ask(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    again.note(open_storage(root), "fec-b", FORM, {})
    seen: list[int] = []

    def dealt(parameters: Any) -> list[str]:
        seen.append(parameters.max_groups)
        raise RunFailed("far enough")

    monkeypatch.setattr("components.plan.step.run", dealt)
    monkeypatch.setattr("components.collect.step.run", dealt)
    monkeypatch.setattr(sys, "argv", ["c.py"])
    for component, inputs in ((plan, {"annotations": "a.csv"}), (collect, {"triplets": None})):
        with pytest.raises(SystemExit):
            component.python_func(root=root, split="eval", max_groups=66, options={}, **inputs)
    assert seen == [1, 1]


def test_only_a_run_that_succeeded_counts_as_finished(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    again.note(storage, "fec-c", FORM, {})
    summarize(Summary(root=str(tmp_path), run="fec-c", state="COMPLETE"))  # and nothing is there
    assert not (tmp_path / layout.FINISHED).exists()


def test_the_summary_of_a_success_keeps_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again.note(open_storage(str(tmp_path)), "fec-c", FORM, {})
    monkeypatch.setattr("components.summarize.work._left", lambda splits, models: [])
    summarize(Summary(root=str(tmp_path), run="fec-c", state="COMPLETE"))
    kept = json.loads((tmp_path / layout.FINISHED).read_text())
    assert kept == {"run": "fec-c", "form": again.fingerprint_of(FORM)}
