"""The run's form, held by the first task on the engine: what is wrong is told before a loop begins."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler

from components.form import check_given, take
from components.placement import PLACES, SHARED, check_detector_here
from components.plan.component import plan
from fec import layout
from fec.command import engine_inputs
from fec.errors import ConfigurationError
from pipelines.graph.compiled import read_spec
from pipelines.graph.options import CompileOptions
from pipelines.graph.runtime_parameters import RuntimeParameter, declared, parse
from pipelines.pipeline import pipeline
from tests.wrong_values import WRONG, given


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    package = tmp_path_factory.mktemp("compiled") / "fec.yaml"
    options = CompileOptions(registry="ghcr.io/me")
    compiler.Compiler().compile(pipeline_func=pipeline(options), package_path=str(package))
    return read_spec(package)


@pytest.fixture(scope="module")
def form(spec: dict[str, Any]) -> dict[str, RuntimeParameter]:
    return declared(spec)


def arrived(spec: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The line by which the engine starts the first task, when the form was filled in with ``values``."""
    (body,) = (inner["dag"] for inner in spec["components"].values() if "plan" in inner.get("dag", {}).get("tasks", ()))
    inputs = body["tasks"]["plan"]["inputs"]["parameters"]
    taken = {
        name: values[source["componentInputParameter"]] if "componentInputParameter" in source else "train"
        for name, source in inputs.items()
    }
    executor_input = json.dumps({"inputs": {"parameterValues": taken}, "outputs": {}})
    return ["executor_main.py", "--executor_input", executor_input, "--function_to_execute", "plan"]


def whole(form: dict[str, RuntimeParameter], values: dict[str, Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in form.items()} | values


@pytest.mark.parametrize(("values", "words"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_the_first_task_refuses_it_in_one_line(
    spec: dict[str, Any],
    form: dict[str, RuntimeParameter],
    values: tuple[str, ...],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    filled_in = whole(form, parse(given(values), form))
    monkeypatch.setattr(sys, "argv", arrived(spec, filled_in))
    with pytest.raises(SystemExit) as ended:
        # The root is the engine's business here: a bucket would be asked for.
        plan.python_func(root=str(tmp_path / "root"), split="train", annotations="", options=filled_in["options"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert [word for word in words if word not in said] == [], said


def test_a_good_form_is_taken(form: dict[str, RuntimeParameter], tmp_path: Path) -> None:
    for name in ("train.csv", "eval.csv"):
        (tmp_path / name).touch()
    values = [f"root={tmp_path}/root", f"train_csv={tmp_path}/train.csv", f"eval_csv={tmp_path}/eval.csv"]
    check_given(whole(form, parse(values, form)), {SHARED: f"/keys:{tmp_path}"})


def test_the_first_task_notes_on_which_nodes_the_run_goes(
    form: dict[str, RuntimeParameter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train.csv", "eval.csv"):
        (tmp_path / name).touch()
    values = [f"root={tmp_path}/root", f"train_csv={tmp_path}/train.csv", f"eval_csv={tmp_path}/eval.csv"]
    filled_in = whole(form, parse([*values, 'data_node_selector={"disktype": "ssd"}'], form))
    monkeypatch.setenv(SHARED, str(tmp_path))
    take(f"{tmp_path}/root", filled_in)
    assert not (tmp_path / "root").exists()
    monkeypatch.setenv("FEC_RUN", "fec-x7k2p")
    take(f"{tmp_path}/root", filled_in)
    noted = json.loads((tmp_path / "root" / layout.run_places("fec-x7k2p")).read_text())
    assert {name: noted[name] for name in PLACES} == {name: filled_in[name] for name in PLACES}
    assert noted["data_node_selector"] == {"disktype": "ssd"}


def test_annotations_that_are_not_there_are_told_of_both_splits(
    form: dict[str, RuntimeParameter], tmp_path: Path
) -> None:
    (tmp_path / "train.csv").touch()
    values = [f"root={tmp_path}/root", f"train_csv={tmp_path}/train.csv", f"eval_csv={tmp_path}/evil.csv"]
    with pytest.raises(ConfigurationError, match=r"evil\.csv: No such file"):
        check_given(whole(form, parse(values, form)), {SHARED: str(tmp_path)})


def test_a_task_with_its_own_inputs_alone_needs_no_form() -> None:
    check_given({"root": "here", "split": "train", "num_shards": 8.0, "options": {}})


def test_the_first_task_is_given_the_whole_form(spec: dict[str, Any], form: dict[str, RuntimeParameter]) -> None:
    assert set(engine_inputs(arrived(spec, {name: name for name in form}))) >= set(form)
    assert engine_inputs(["plan", "--root", "x"]) == {}


def test_faced_is_refused_in_an_image_that_cannot_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"detector": "yunet+faced", "detector_weights": "gs://bucket/faced"}
    check_detector_here(values)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ConfigurationError, match=r"this image of the data steps has no TensorFlow; give data_image="):
        check_detector_here(values)
    check_detector_here({"detector": "yunet"})
