"""A run that stops where one likes, and one that does not start what it cannot end or was not meant for."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from components.form import RunParameters
from components.plan.step import Parameters as Plan
from components.plan.step import run as plan
from fec.errors import ConfigurationError
from pipelines.commands import run
from pipelines.graph import stages
from pipelines.graph.options import LOCAL
from pipelines.local import arguments
from pipelines.local.summary import so_far
from pipelines.pipeline import pipeline

FACES = [f'"http://{name}.example/{name}.jpg",0.1,0.6,0.1,0.6' for name in "abcdef"]
VOTES = "ONE_CLASS_TRIPLET,r,1,s,1"


def write_list(path: Path, *places: int) -> str:
    path.write_text(",".join([*(FACES[place] for place in places), VOTES]) + "\n")
    return str(path)


@pytest.fixture
def asked(tmp_path: Path) -> RunParameters:
    """Two lists of one triplet, and a root where both are planned."""
    csvs = {
        split: write_list(tmp_path / f"{split}.csv", *places)
        for split, places in (("train", (0, 1, 2)), ("eval", (3, 4, 5)))
    }
    root = str(tmp_path / "root")
    for split, csv in csvs.items():
        plan(Plan(root=root, split=split, annotations=csv, num_shards=1))
    return RunParameters(train_csv=csvs["train"], eval_csv=csvs["eval"], root=root)


def steps(graph: Any) -> set[str]:
    """The steps of a pipeline, loops included."""
    components = graph.pipeline_spec.components
    named = {name.removeprefix("comp-").rstrip("-0123456789") for name in components}
    return {name for name in named if not name.startswith(("for-loop", "condition"))}


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (stages.PLAN, {"plan"}),
        (stages.CROPS, {"plan", "download", "faces"}),
        (stages.RECORDS, {"plan", "download", "faces", "collect", "datagen"}),
        (stages.MODEL, {"plan", "download", "faces", "collect", "datagen", "train", "evaluate"}),
    ],
)
def test_a_run_has_the_steps_up_to_its_stage(until: str, expected: set[str]) -> None:
    assert steps(pipeline(LOCAL, until)) == expected


def test_the_plan_tells_what_is_to_be_fetched_also_when_it_was_made_before(
    asked: RunParameters, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    plan(Plan(root=asked.root, split="train", annotations=asked.train_csv, num_shards=1))
    said = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (said["event"], said["images"], said["hosts"], said["expected_seconds"]) == ("planned", 3, 3, 0)
    assert "train: 3 pictures of 3 hosts, 1 triplets; the largest host" in said["message"]


def test_the_same_lists_are_no_others(asked: RunParameters) -> None:
    arguments.refuse_another_dataset(asked)


def test_a_trial_of_the_same_list_is_no_other(asked: RunParameters, tmp_path: Path) -> None:
    moved = Path(asked.train_csv).rename(tmp_path / "renamed.csv")
    again = RunParameters(str(moved), asked.eval_csv, asked.root, num_train_shards=5, max_shards=1)
    arguments.refuse_another_dataset(again)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_another_list_is_refused_by_name(asked: RunParameters, tmp_path: Path, split: str) -> None:
    write_list(tmp_path / f"{split}.csv", 0, 2, 4)
    with pytest.raises(ConfigurationError, match=rf"the {split} data of another list \({split}.csv, .*--replace"):
        arguments.refuse_another_dataset(asked)


def test_a_root_without_a_plan_takes_any_list(asked: RunParameters, tmp_path: Path) -> None:
    arguments.refuse_another_dataset(RunParameters(asked.train_csv, asked.eval_csv, str(tmp_path / "new")))


def test_without_tensorflow_nothing_is_started(asked: RunParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("pipelines.local.execution.execute", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'fec\[train\]', or ask for --until records"):
        run.finish(asked, as_json=False)


def test_what_was_reached_is_told(asked: RunParameters) -> None:
    text = so_far(asked.root, stages.PLAN, as_json=False, seconds=1.0)
    assert "images                                 3               3" in text
    assert "stopped after plan, as asked" in text
    told = json.loads(so_far(asked.root, stages.PLAN, as_json=True, seconds=1.0))
    assert (told["until"], told["splits"]["eval"]["funnel"]["triplets"]) == ("plan", 1)
