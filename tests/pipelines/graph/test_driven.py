"""The compiled pipeline as the backend's drivers read it: every pod, and what each is given."""

from pathlib import Path
from typing import Any

import pytest
from kfp import compiler

from components.form import RunParameters
from components.placement import PlacementParameters
from components.resources import RESOURCES
from fec.parameters import fields
from pipelines.graph.compiled import read_platform, read_spec
from pipelines.graph.options import CompileOptions
from pipelines.pipeline import pipeline
from tests.kfp_server.driver import GROUPS, DriverFailed, Drivers, Pod

GIVEN = {
    "root": "gs://bucket/fec",
    "train_csv": "gs://bucket/train.csv",
    "eval_csv": "gs://bucket/eval.csv",
    "data_image": "ghcr.io/you/data:v9",
    "download_memory": "3Gi",
    "data_node_selector": {"disktype": "ssd"},
    "data_tolerations": [{"key": "a", "operator": "Exists"}],
    "train_node_selector": {"gpu": "yes"},
    "accelerator_type": "nvidia.com/gpu",
    "accelerator_count": "8",
    "min_confidence": 0.5,
}


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Drivers:
    package = tmp_path_factory.mktemp("compiled") / "fec.yaml"
    compiler.Compiler().compile(pipeline(CompileOptions(registry="ghcr.io/me")), str(package))
    return Drivers(read_spec(package), read_platform(package))


@pytest.fixture(scope="module")
def pods(drivers: Drivers) -> list[Pod]:
    return drivers.pods(GIVEN)


def of(pods: list[Pod], step: str) -> list[Pod]:
    return [pod for pod in pods if pod.component == f"comp-{step}"]


def test_every_step_of_both_splits_has_its_pods(pods: list[Pod]) -> None:
    loops = 2 * len(GROUPS)
    numbers = {step: len(of(pods, step)) for step in (*RESOURCES, "summarize")}
    assert numbers == {
        **{"plan": 2, "collect": 2, "download": loops, "faces": loops, "datagen": loops},
        **{"train": 1, "evaluate": 1, "summarize": 1},
    }
    assert pods[-1].component == "comp-summarize"


def test_the_summary_runs_in_the_image_that_the_run_was_given(pods: list[Pod]) -> None:
    (summary,) = of(pods, "summarize")
    assert summary.image == GIVEN["data_image"]
    assert summary.inputs["root"] == GIVEN["root"]
    assert summary.inputs["status"]["pipelineJobResourceName"] == "fec-x7k2p"


def test_images_resources_and_places_reach_every_pod(pods: list[Pod]) -> None:
    images = {step: {pod.image for pod in of(pods, step)} for step in RESOURCES}
    ours = "ghcr.io/me/fec-train:latest"
    assert images == {step: {ours} if step in ("train", "evaluate") else {GIVEN["data_image"]} for step in RESOURCES}
    for step, asked in RESOURCES.items():
        for pod in of(pods, step):
            memory = GIVEN["download_memory"] if step == "download" else asked.memory
            limits = pod.resources["resourceCpuLimit"], pod.resources["resourceMemoryLimit"]
            assert limits == (asked.cpu, memory)
            on = "train" if step == "train" else "data"
            assert pod.node_selector == GIVEN[f"{on}_node_selector"]
            assert pod.tolerations == ([] if step == "train" else GIVEN["data_tolerations"])
    (trained,) = of(pods, "train")
    assert (trained.resources["resourceType"], trained.resources["resourceCount"]) == ("nvidia.com/gpu", "8")
    assert trained.inputs["pipelinechannel--accelerator_count"] == "8"


def test_what_the_form_says_reaches_the_steps_and_all_of_it_the_first_task(pods: list[Pod]) -> None:
    assert {pod.inputs["min_confidence"] for pod in of(pods, "faces")} == {0.5}
    (whole,) = [pod for pod in of(pods, "plan") if "train_csv" in pod.inputs]
    known = {field.name for of_run in (RunParameters, PlacementParameters) for field in fields(of_run)}
    assert {name.removeprefix("pipelinechannel--") for name in whole.inputs} >= known


def test_each_group_is_one_iteration_and_the_second_task_follows_the_first(pods: list[Pod]) -> None:
    assert sorted(pod.inputs["group"] for pod in of(pods, "download")) == sorted(2 * GROUPS)
    assert {pod.inputs["group"] for pod in of(pods, "faces")} == {"output of download", "output of download-2"}


@pytest.mark.parametrize("options", [{"trainer": "t2t"}, {"exit_handler": False}, {"placement": False}, {"spot": True}])
def test_every_way_to_compile_it_resolves(options: dict[str, Any], tmp_path: Path) -> None:
    package = tmp_path / "fec.yaml"
    compiler.Compiler().compile(pipeline(CompileOptions(registry="ghcr.io/me", **options)), str(package))
    assert Drivers(read_spec(package), read_platform(package)).pods(GIVEN)


def test_a_name_that_is_nowhere_fails_the_driver(drivers: Drivers) -> None:
    with pytest.raises(DriverFailed, match="parent DAG does not have input parameter train_csv"):
        drivers.pods({name: value for name, value in GIVEN.items() if name != "train_csv"})
