"""The compiled pipeline: one file however it is made, small, valid, and a form that explains itself."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler
from kfp.pipeline_spec import pipeline_spec_pb2

from components.form import RunParameters, for_pipeline
from components.resources import RESOURCES
from fec.errors import ConfigurationError
from pipelines.graph.options import LOCAL, CompileOptions
from pipelines.pipeline import IMAGES, fec, pipeline

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


def test_fec_compile_and_kfp_compile_give_the_same_file(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    python = Path(sys.executable)
    for command in (
        [str(python), "-m", "pipelines.cli", "compile", "-o", str(ours), "--registry", "ghcr.io/me"],
        [str(python.with_name("kfp")), "dsl", "compile", "--py", "pipelines/pipeline.py", "--output", str(theirs)],
    ):
        environment = os.environ | {"FEC_REGISTRY": "ghcr.io/me"}
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=ROOT, env=environment)
    assert ours.read_bytes() == theirs.read_bytes()


def test_it_is_under_64_kb_with_nothing_in_it_that_grows_with_the_shards(compiled: Path, spec: Any) -> None:
    assert compiled.stat().st_size < MAX_BYTES
    loops = [
        task.parameter_iterator.items
        for component in spec.components.values()
        for task in component.dag.tasks.values()
        if task.WhichOneof("iterator")
    ]
    assert len(loops) == 4
    assert all(items.input_parameter and not items.raw for items in loops)


def body(spec: Any) -> Any:
    """The tasks that the exit handler follows."""
    return spec.components["comp-exit-handler-1"].dag.tasks


def test_the_splits_are_prepared_side_by_side_in_the_graph_and_one_after_the_other_in_time(spec: Any) -> None:
    tasks = body(spec)
    for name, split, others in (("plan", "eval", "num_train_shards"), ("plan-2", "train", "num_eval_shards")):
        given = tasks[name].inputs.parameters
        assert given["split"].runtime_value.constant.string_value == split
        assert given["other_shards"].component_input_parameter == others
    assert list(tasks["plan-2"].dependent_tasks) == [loop_named(spec, "eval data: download, check faces")]
    records = {loop_named(spec, f"{split} data: write records") for split in ("train", "eval")}
    assert records < set(tasks["train"].dependent_tasks)


def loop_named(spec: Any, name: str) -> str:
    """The loop that the engine's pages show under this name."""
    return next(str(key) for key, task in body(spec).items() if task.task_info.name == name)


def test_the_loops_say_what_they_do(spec: Any) -> None:
    shown = {task.task_info.name for task in body(spec).values() if task.WhichOneof("iterator")}
    works = ("download, check faces", "write records")
    assert shown == {f"{split} data: {work}" for split in ("train", "eval") for work in works}


def test_every_box_says_what_it_does(spec: Any) -> None:
    shown = {name: task.task_info.name for name, task in body(spec).items() if not task.WhichOneof("iterator")}
    assert shown == {
        "plan": "eval data: plan",
        "plan-2": "train data: plan",
        "collect": "eval data: keep what survived",
        "collect-2": "train data: keep what survived",
        "train": "train",
        "evaluate": "evaluate, write the report",
    }
    inner = [spec.components[task.component_ref.name] for task in body(spec).values() if task.WhichOneof("iterator")]
    boxes = {box.task_info.name for component in inner for box in component.dag.tasks.values()}
    assert boxes == {"download", "check faces", "write records"}
    assert {task.task_info.name for task in spec.root.dag.tasks.values()} == {"run", "summary of the run"}


def test_every_step_is_defined_once(spec: Any) -> None:
    steps = ["collect", "datagen", "download", "evaluate", "faces", "plan", "summarize", "train"]
    assert sorted(spec.deployment_spec["executors"].keys()) == [f"exec-{step}" for step in steps]


def test_the_summary_follows_however_the_run_ends(spec: Any) -> None:
    summary = spec.root.dag.tasks["summarize"]
    assert summary.trigger_policy.strategy == summary.trigger_policy.ALL_UPSTREAM_TASKS_COMPLETED
    assert summary.inputs.parameters["status"].task_final_status.producer_task == "exit-handler-1"


def test_artifacts_make_a_lineage_from_the_triplets_to_the_report(spec: Any) -> None:
    made = {
        name: {
            output: kind.artifact_type.schema_title
            for output, kind in spec.components[name].output_definitions.artifacts.items()
        }
        for name in ("comp-collect", "comp-train", "comp-evaluate", "comp-summarize")
    }
    assert made == {
        "comp-collect": {"triplets": "system.Dataset"},
        "comp-train": {"trained_model": "system.Model", "training_metrics": "system.Metrics"},
        "comp-evaluate": {"report": "system.HTML", "metrics": "system.Metrics"},
        "comp-summarize": {"summary": "system.Markdown"},
    }
    taken = body(spec)["evaluate"].inputs.artifacts
    assert taken["trained_model"].task_output_artifact.producer_task == "train"
    assert taken["triplets"].task_output_artifact.producer_task == "collect"
    assert body(spec)["train"].inputs.artifacts["triplets"].task_output_artifact.producer_task == "collect-2"


def test_every_input_is_typed_described_and_has_a_default_but_data_and_root(spec: Any) -> None:
    inputs = spec.root.input_definitions.parameters
    assert [name for name, value in inputs.items() if not value.description] == []
    assert {name for name, value in inputs.items() if not value.is_optional} == {
        "train_csv",
        "eval_csv",
        "root",
        *IMAGES,
    }


PLACES = re.compile(r"\w+_(cpu|memory|image|node_selector|tolerations)|accelerator_(type|count)")


def test_the_command_has_an_option_for_every_input_but_those_that_place_a_task(spec: Any) -> None:
    arguments = for_pipeline(RunParameters(train_csv="a", eval_csv="b", root="c"))
    assert set(arguments) == {name for name in spec.root.input_definitions.parameters if not PLACES.fullmatch(name)}


def test_the_steps_options_reach_every_step(spec: Any) -> None:
    calls = [
        (name, task)
        for component in (spec.root, *spec.components.values())
        for name, task in component.dag.tasks.items()
        if spec.components[task.component_ref.name].executor_label
    ]
    without = {name for name, task in calls if "options" not in task.inputs.parameters}
    assert without == {"summarize"}  # which has none


def test_options_given_when_compiling_are_the_forms_default(tmp_path: Path) -> None:
    spec, _ = compiled_with(tmp_path, options={"faces": {"crop_quality": "90"}})
    assert default(spec, "options") == {"faces": {"crop_quality": 90}}
    with pytest.raises(ConfigurationError, match=r"did you mean crop_quality\?"):
        CompileOptions(options={"faces": {"crop_qualty": "90"}})


def default(spec: Any, name: str) -> Any:
    return json_format.MessageToDict(spec.root.input_definitions.parameters[name].default_value)


def compiled_with(folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The pipeline with these compile-time options, and what the platform is told of each executor."""
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline(CompileOptions(**options)), str(path))
    first, *more = yaml.safe_load_all(path.read_text())
    platform = more[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if more else {}
    return json_format.ParseDict(first, pipeline_spec_pb2.PipelineSpec()), platform


STEPS = ("plan", "download", "faces", "collect", "datagen", "train", "evaluate")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_takes_its_place_from_the_runs_form(spec: Any, compiled: Path, step: str) -> None:
    container = spec.deployment_spec["executors"][f"exec-{step}"]["container"]
    channel = "{{$.inputs.parameters['pipelinechannel--%s']}}"
    image = f"{step}_image" if step in ("train", "evaluate") else "data_image"
    assert container["image"] == channel % image
    assert container["resources"]["resourceCpuLimit"] == channel % f"{step}_cpu"
    assert container["resources"]["resourceMemoryLimit"] == channel % f"{step}_memory"
    asked = container["resources"]["resourceCpuRequest"], container["resources"]["resourceMemoryRequest"]
    assert asked == (RESOURCES[step].cpu_request, RESOURCES[step].memory_request)
    _, platform = yaml.safe_load_all(compiled.read_text())
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{step}"]
    nodes = "train" if step == "train" else "data"
    assert settings["nodeSelector"]["nodeSelectorJson"]["componentInputParameter"].endswith(f"{nodes}_node_selector")
    assert settings["tolerations"][0]["tolerationJson"]["componentInputParameter"].endswith(f"{nodes}_tolerations")


def test_what_places_a_task_reaches_it_through_every_loop(spec: Any) -> None:
    for dag in spec.components.values():
        for task in dag.dag.tasks.values():
            for name, value in task.inputs.parameters.items():
                if value.component_input_parameter:
                    assert value.component_input_parameter in dag.input_definitions.parameters, (task, name)
    for name, task in tasks_of(spec).items():
        used = re.findall(
            r"inputs\.parameters\['([^']+)'\]",
            str(spec.deployment_spec["executors"][name.replace("comp-", "exec-")]["container"]),
        )
        assert set(used) <= set(task.inputs.parameters), name


def test_a_gpu_is_asked_for_in_the_form(tmp_path: Path) -> None:
    spec, platform = compiled_with(tmp_path, accelerator="nvidia-l4", accelerator_count=2)
    assert default(spec, "accelerator_type") == "nvidia.com/gpu"
    assert default(spec, "accelerator_count") == "2"
    assert default(spec, "train_node_selector") == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert default(spec, "train_tolerations") == [taint]
    resources = spec.deployment_spec["executors"]["exec-train"]["container"]["resources"]
    assert "accelerator_type" in resources["accelerator"]["resourceType"]
    assert "accelerator_count" in resources["accelerator"]["resourceCount"]
    assert {"medium": "Memory", "mountPath": "/dev/shm", "sizeLimit": "2Gi", "volumeName": "shm"} in platform[
        "exec-train"
    ]["emptyDirMounts"]


def test_a_tpu_brings_its_topology_and_its_image(tmp_path: Path) -> None:
    spec, _ = compiled_with(tmp_path, accelerator="v5e", topology="2x4", registry="eu.example/fec", tag="v1")
    assert default(spec, "accelerator_type") == "google.com/tpu"
    assert default(spec, "accelerator_count") == "8"
    assert default(spec, "train_node_selector") == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }
    images = {name: default(spec, f"{name}_image") for name in ("data", "train", "evaluate")}
    assert images == {
        "data": "eu.example/fec/fec-data:v1",
        "train": "eu.example/fec/fec-train-tpu:v1",
        "evaluate": "eu.example/fec/fec-train:v1",
    }


def test_without_an_accelerator_none_is_asked_for(spec: Any) -> None:
    assert default(spec, "accelerator_type") == ""
    assert default(spec, "train_node_selector") == {}


def test_spot_nodes_are_one_switch(tmp_path: Path) -> None:
    spec, _ = compiled_with(tmp_path, spot=True)
    assert default(spec, "data_node_selector") == {"cloud.google.com/gke-spot": "true"}
    assert [taint["key"] for taint in default(spec, "data_tolerations")] == ["cloud.google.com/gke-spot"]
    assert default(spec, "train_node_selector") == {}


def test_tensor2tensor_trains_in_its_own_image_on_the_same_records(tmp_path: Path) -> None:
    spec, _ = compiled_with(tmp_path, trainer="t2t", registry="ghcr.io/me")
    tasks = body(spec)
    assert {"t2t-datagen", "t2t-train"} <= set(tasks)
    assert not {"train", "evaluate"} & set(tasks)
    assert default(spec, "model") == "percep_similarity_triplet_emb_tiny"
    assert default(spec, "train_image") == "ghcr.io/me/fec-t2t:latest"


def test_a_secret_reaches_every_task(tmp_path: Path) -> None:
    spec, platform = compiled_with(tmp_path, secret="s3-keys")
    assert set(platform) == set(spec.deployment_spec["executors"].keys())
    for name, settings in platform.items():
        assert settings["secretAsEnv"][0]["secretName"] == "s3-keys", name


def test_without_places_and_summary_nothing_is_left_to_the_platform_but_time(tmp_path: Path) -> None:
    spec, platform = compiled_with(tmp_path, placement=False, exit_handler=False, shm_gib=0, scratch_gib=0)
    assert "exec-summarize" not in dict(spec.deployment_spec["executors"])
    assert all(set(settings) == {"activeDeadlineSeconds"} for settings in platform.values())
    assert "resources" not in spec.deployment_spec["executors"]["exec-faces"]["container"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_groups": 81}, "expected 1 to 80"),
        ({"max_groups": 0}, "expected 1 to 80"),
        ({"parallelism": 0}, "expected 1 to 80"),
        ({"retries": -1}, "expected at least 0"),
        ({"trainer": "torch"}, "expected one of keras, t2t"),
        ({"tag": ""}, "expected a name"),
        ({"tag": "v 1"}, "expected a name"),
        ({"registry": "https://ghcr.io/me"}, "expected a registry, such as ghcr.io/me"),
        ({"registry": "ghcr.io/Me"}, "expected a registry"),
        ({"secret": "Not_A_Name"}, "secret 'Not_A_Name'"),
        ({"volume": ("pvc:a:/b", "pvc:c:/b")}, "something mounted at /b"),
        ({"volume": ("pvc:a:/tmp",)}, "something mounted at /tmp"),
        ({"volume": ("pvc:a:/b:ro",)}, "expected pvc:NAME:/PATH"),
        ({"env": ("A=1", "A=2")}, "A is given twice"),
        ({"image": ("serve=a",)}, "NAME one of data, train, evaluate"),
        ({"image": ("data=Not A Name",)}, "expected NAME=REFERENCE"),
        ({"volume": ("disk:a:/b",)}, "expected pvc:NAME:/PATH"),
        ({"volume": ("pvc:a:b",)}, "expected pvc:NAME:/PATH"),
        ({"env": ("1=2",)}, "expected NAME=VALUE"),
        ({"pull_secret": ("Not_A_Name",)}, "'Not_A_Name'"),
        ({"backoff_factor": 1.5}, "a whole number"),
        ({"topology": "2x4"}, "without an accelerator"),
        ({"accelerator_count": 2}, "without an accelerator"),
        ({"accelerator": "v5e", "topology": "4x4"}, "a task is one pod on one node"),
        ({"accelerator": "nvidia-l4", "accelerator_count": 3}, "GKE's machines have"),
        ({"accelerator": "v5e", "topology": "2x2", "trainer": "t2t"}, "for the CPU alone"),
        ({"accelerator": "gpu", "trainer": "t2t"}, "for the CPU alone"),
        ({"accelerator": "tpu7x", "topology": "2x2x1"}, "libtpu from before it"),
        ({"accelerator": "v5e", "topology": "2x2", "image": ("train=ghcr.io/me/fec-train:v1",)}, "fec-train-tpu can"),
        ({"accelerator": "nvidia-l4", "image": ("train=ghcr.io/me/fec-train-tpu:v1",)}, "fec-train can"),
        (
            {"accelerator": "nvidia-l4", "accelerator_count": 8, "options": {"train": {"device_count": 4}}},
            "all that is",
        ),
        ({"accelerator": "nvidia-l4", "options": {"train": {"device": "cpu"}}}, "what is booked is gpu: leave it out"),
        ({"options": {"train": {"device": "tpu"}}}, "what is booked is cpu"),
    ],
)
def test_what_the_engine_or_gke_would_refuse_is_refused_when_compiling(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        CompileOptions(**options)


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


def test_tasks_are_retried_with_a_growing_wait(spec: Any) -> None:
    for name, task in tasks_of(spec).items():
        policy = task.retry_policy
        if name != "comp-summarize":  # the engine refuses that of an exit handler
            given = (policy.max_retry_count, policy.backoff_duration.seconds, policy.backoff_factor)
            assert given == (3, 60, 2), name


def test_the_engine_may_try_again_for_as_long_as_the_attempts_can_take(spec: Any) -> None:
    """backoff_max_duration is a window from the first attempt on: a shorter one forbids a retry after long work."""
    for name, seconds in (("comp-download", 24 * 3600), ("comp-train", 48 * 3600)):
        window = tasks_of(spec)[name].retry_policy.backoff_max_duration.seconds
        assert window == 4 * seconds + 60 * (1 + 2 + 4)


@pytest.mark.parametrize(("given", "timeout", "window"), [(100, 60, 100), (0, 0, 365 * 24 * 3600)])
def test_the_window_can_be_given_and_never_ends_where_attempts_do_not(given: int, timeout: int, window: int) -> None:
    assert CompileOptions(retry_window_seconds=given).retry_window(timeout) == window


def images_in(spec: Any) -> set[str]:
    return {executor["container"]["image"] for executor in spec.deployment_spec["executors"].values()}


def test_registry_and_tag_reach_every_image_of_the_file(tmp_path: Path) -> None:
    spec, _ = compiled_with(tmp_path, registry="eu.example/fec", tag="v1")
    found = set(re.findall(r"[\w./-]*fec-(?:data|train|t2t)[\w:.-]*", (tmp_path / "pipeline.yaml").read_text()))
    assert found == {"eu.example/fec/fec-data:v1", "eu.example/fec/fec-train:v1"}
    assert images_in(spec) == {f"{{{{$.inputs.parameters['pipelinechannel--{name}']}}}}" for name in IMAGES}
    spec, _ = compiled_with(tmp_path, registry="eu.example/fec", tag="v1", placement=False)
    assert images_in(spec) == found


def test_an_image_may_be_pinned(tmp_path: Path) -> None:
    pinned = f"ghcr.io/me/fec-data@sha256:{'0' * 64}"
    spec, _ = compiled_with(tmp_path, registry="ghcr.io/me", image=(f"data={pinned}",))
    assert (default(spec, "data_image"), default(spec, "train_image")) == (pinned, "ghcr.io/me/fec-train:latest")


def test_where_nobody_says_where_the_images_are_they_are_to_be_given(spec: Any) -> None:
    for name in IMAGES:
        assert not spec.root.input_definitions.parameters[name].HasField("default_value")
    with pytest.raises(ConfigurationError, match="--registry"):
        CompileOptions().check_images()
    CompileOptions(registry="ghcr.io/me").check_images()


def test_the_summary_has_the_runs_image_a_tmp_and_a_time_out(tmp_path: Path) -> None:
    spec, platform = compiled_with(tmp_path)
    summary = spec.root.dag.tasks["summarize"]
    assert summary.inputs.parameters["pipelinechannel--data_image"].component_input_parameter == "data_image"
    assert "data_image" in spec.deployment_spec["executors"]["exec-summarize"]["container"]["image"]
    settings = platform["exec-summarize"]
    assert [mount["mountPath"] for mount in settings["emptyDirMounts"]] == ["/tmp"]
    assert int(settings["activeDeadlineSeconds"]) == 3600


def test_volumes_keys_and_environment_reach_every_task(tmp_path: Path) -> None:
    spec, platform = compiled_with(
        tmp_path,
        volume=("pvc:weights:/weights", "secret:keys:/keys"),
        env=("HTTPS_PROXY=http://proxy:3128", "A=b=c"),
        pull_secret=("registry",),
    )
    for name in spec.deployment_spec["executors"].keys():  # noqa: SIM118 - a Struct
        assert [mount["mountPath"] for mount in platform[name]["pvcMount"]] == ["/weights"], name
        assert [mount["mountPath"] for mount in platform[name]["secretAsVolume"]] == ["/keys"], name
        assert [secret["secretName"] for secret in platform[name]["imagePullSecret"]] == ["registry"], name
        env = spec.deployment_spec["executors"][name]["container"]["env"]
        values = {one["name"]: one["value"] for one in env}
        shared = {"FEC_SHARED": "/weights"} if name == "exec-plan" else {}
        assert values == {"HTTPS_PROXY": "http://proxy:3128", "A": "b=c", **shared}


def test_a_task_knows_its_node(compiled: Path) -> None:
    _, platform = yaml.safe_load_all(compiled.read_text())
    for settings in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert {"name": "FEC_NODE", "fieldPath": "spec.nodeName"} in settings["fieldPathAsEnv"]


def test_every_task_ends_some_time(compiled: Path) -> None:
    _, platform = yaml.safe_load_all(compiled.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {int(settings["activeDeadlineSeconds"]) for settings in executors.values()} == {3600, 24 * 3600, 48 * 3600}
    assert len(executors) == 8


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
