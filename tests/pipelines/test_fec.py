"""The compiled pipeline: one file however it is made, small, valid, and a form that explains itself."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler
from kfp.pipeline_spec import pipeline_spec_pb2

from pipelines.arguments import RunArguments, for_pipeline
from pipelines.fec import fec, pipeline
from pipelines.options import LOCAL, CompileOptions

ROOT = Path(__file__).parents[2]
MAX_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "fec_pipeline.yaml"
    compiler.Compiler().compile(fec, str(path))
    return path


@pytest.fixture(scope="module")
def spec(compiled: Path) -> Any:
    return json_format.ParseDict(next(yaml.safe_load_all(compiled.read_text())), pipeline_spec_pb2.PipelineSpec())


def test_fec_compile_and_kfp_compile_give_the_same_file(tmp_path: Path, compiled: Path) -> None:
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    python = Path(sys.executable)
    for command in (
        [str(python), "-m", "pipelines.cli", "compile", "-o", str(ours)],
        [str(python.with_name("kfp")), "dsl", "compile", "--py", "pipelines/fec.py", "--output", str(theirs)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=ROOT)
    assert ours.read_bytes() == theirs.read_bytes() == compiled.read_bytes()


def test_it_is_under_64_kb_with_nothing_in_it_that_grows_with_the_shards(compiled: Path, spec: Any) -> None:
    assert compiled.stat().st_size < MAX_BYTES
    loops = [
        task.parameter_iterator.items
        for component in spec.components.values()
        for task in component.dag.tasks.values()
        if task.WhichOneof("iterator")
    ]
    assert len(loops) == 2
    assert all(items.input_parameter and not items.raw for items in loops)


def test_both_splits_are_prepared_by_one_definition(spec: Any) -> None:
    tasks = spec.root.dag.tasks
    assert {tasks[name].component_ref.name for name in ("prepare-split", "prepare-split-2")} == {"comp-prepare-split"}
    assert tasks["prepare-split"].inputs.parameters["split"].runtime_value.constant.string_value == "train"
    assert tasks["prepare-split-2"].inputs.parameters["split"].runtime_value.constant.string_value == "eval"
    assert tasks["train"].dependent_tasks == ["prepare-split", "prepare-split-2"]


def test_every_step_is_defined_once(spec: Any) -> None:
    steps = ["collect", "datagen", "download", "evaluate", "faces", "plan", "train"]
    assert sorted(spec.deployment_spec["executors"].keys()) == [f"exec-{step}" for step in steps]


def test_every_input_is_typed_described_and_has_a_default_but_data_and_root(spec: Any) -> None:
    inputs = spec.root.input_definitions.parameters
    assert [name for name, value in inputs.items() if not value.description] == []
    assert {name for name, value in inputs.items() if not value.is_optional} == {"train_csv", "eval_csv", "root"}


def test_the_command_has_an_option_for_every_input(spec: Any) -> None:
    arguments = for_pipeline(RunArguments(train_csv="a", eval_csv="b", root="c"))
    assert set(arguments) == set(spec.root.input_definitions.parameters)


def tasks_of(spec: Any) -> dict[str, Any]:
    """Every task that runs a container, by its name and that of its component."""
    dags = [spec.root, *spec.components.values()]
    return {
        task.component_ref.name: task
        for dag in dags
        for task in dag.dag.tasks.values()
        if spec.components[task.component_ref.name].executor_label
    }


def test_no_task_is_cached_by_the_engine(spec: Any) -> None:
    assert [name for name, task in tasks_of(spec).items() if task.caching_options.enable_cache] == []


def test_data_tasks_are_retried_with_a_growing_wait(spec: Any) -> None:
    for name, task in tasks_of(spec).items():
        policy = task.retry_policy
        if name.startswith(("comp-train", "comp-evaluate")):
            assert policy.max_retry_count == 0
        else:
            assert (policy.max_retry_count, policy.backoff_duration.seconds, policy.backoff_factor) == (3, 60, 2.0), (
                name
            )


def test_every_task_ends_some_time(compiled: Path) -> None:
    _, platform = yaml.safe_load_all(compiled.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {int(settings["activeDeadlineSeconds"]) for settings in executors.values()} <= {24 * 3600, 48 * 3600}
    assert len(executors) == 7


def test_options_reach_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline(CompileOptions(parallelism=7, retries=0, data_timeout_seconds=60)), str(path))
    first, _ = yaml.safe_load_all(path.read_text())
    spec = json_format.ParseDict(first, pipeline_spec_pb2.PipelineSpec())
    limits = {
        task.iterator_policy.parallelism_limit
        for component in spec.components.values()
        for task in component.dag.tasks.values()
        if task.WhichOneof("iterator")
    }
    assert limits == {7}
    assert all(task.retry_policy.max_retry_count == 0 for task in tasks_of(spec).values())


def test_a_local_run_waits_for_no_retry(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline(LOCAL), str(path))
    spec = json_format.ParseDict(yaml.safe_load(path.read_text()), pipeline_spec_pb2.PipelineSpec())
    assert all(task.retry_policy.max_retry_count == 0 for task in tasks_of(spec).values())
    assert len(tasks_of(spec)) == 7
