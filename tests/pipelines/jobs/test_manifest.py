"""The manifest of an Indexed Job: what Kubernetes accepts, what an index runs, what is refused beforehand."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes import client

from components.resources import RESOURCES
from fec.command import parser_for
from fec.errors import ConfigurationError
from fec.layout import Group
from pipelines.jobs.indexes import parse_indexes, show_indexes
from pipelines.jobs.manifest import STEPS, Launch, manifest
from tests.kube_server.server import faults

LAUNCH = Launch(root="gs://bucket/fec", split="train", num_shards=2000, image="ghcr.io/me/fec-data:v1")
FULL = replace(
    LAUNCH,
    max_num_jobs=100,
    node_selector=("cloud.google.com/gke-nodepool=data", "disktype=ssd"),
    toleration=(
        '{"key": "dedicated", "operator": "Equal", "value": "fec", "effect": "NoExecute", "tolerationSeconds": 9}',
    ),
    spot=True,
    service_account="fec",
    secret="s3-keys",
    pull_secret=("registry",),
    volume=("pvc:weights:/weights", "secret:keys:/keys"),
    env=("HTTPS_PROXY=http://proxy:3128",),
    cpu="500m",
    memory="1.5Gi",
)


def pod(job: dict[str, Any]) -> Any:
    return job["spec"]["template"]["spec"]


def container(job: dict[str, Any]) -> Any:
    return pod(job)["containers"][0]


@pytest.mark.parametrize("version", ["1.29", "1.33", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("launch", [LAUNCH, FULL], ids=["default", "full"])
def test_kubernetes_accepts_the_manifest(launch: Launch, version: str) -> None:
    assert faults(manifest("download", launch, namespace="fec"), version) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: job["spec"].update(colour="red"),
        lambda job: job["spec"].update(completions="2000"),
        lambda job: job["spec"].update(maxFailedIndexes=2001),
        lambda job: pod(job).update(restartPolicy="OnFailure"),
        lambda job: container(job).update(name="other"),
        lambda job: container(job)["volumeMounts"][0].update(name="other"),
        lambda job: job["metadata"].update(name="a" * 59),
        lambda job: container(job)["resources"]["requests"].update(memory="5Gi"),
    ],
)
def test_the_check_finds_what_kubernetes_would_not_accept(spoil: Callable[[dict[str, Any]], None]) -> None:
    job = copy.deepcopy(manifest("download", LAUNCH))
    spoil(job)
    assert len(faults(job, "1.33")) == 1


@pytest.mark.parametrize("step", STEPS)
def test_the_manifest_goes_through_the_models_of_the_client_unchanged(step: str) -> None:
    api, job = client.ApiClient(), manifest(step, FULL)
    read = api.deserialize(SimpleNamespace(data=json.dumps(job)), "V1Job")
    assert api.sanitize_for_serialization(read) == job


@pytest.mark.parametrize(
    ("num_shards", "max_num_jobs", "indexes"), [(2000, 0, 2000), (2000, 100, 100), (200, 500, 200), (1, 0, 1)]
)
def test_an_index_is_a_shard_and_max_num_jobs_the_first_of_them(
    num_shards: int, max_num_jobs: int, indexes: int
) -> None:
    job = manifest("faces", replace(LAUNCH, num_shards=num_shards, max_num_jobs=max_num_jobs))
    assert job["spec"]["completions"] == indexes
    group = container(job)["args"][-1]
    shards = [
        list(Group.parse(group.replace("$(JOB_COMPLETION_INDEX)", str(index))).of(num_shards))
        for index in range(indexes)
    ]
    assert shards == [[index] for index in range(indexes)]


def test_the_index_comes_from_the_annotation_the_job_controller_writes() -> None:
    variable, *_ = container(manifest("download", LAUNCH))["env"]
    assert variable["name"] == "JOB_COMPLETION_INDEX"
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_a_pod_knows_its_job_and_its_node_for_its_record() -> None:
    _, run, node = container(manifest("download", LAUNCH))["env"]
    assert (run["name"], run["value"]) == ("FEC_RUN", "fec-download-train")
    assert (node["name"], node["valueFrom"]["fieldRef"]["fieldPath"]) == ("FEC_NODE", "spec.nodeName")


@pytest.mark.parametrize("step", STEPS)
def test_a_pod_runs_a_command_that_the_step_understands(step: str) -> None:
    given = container(manifest(step, LAUNCH))
    module = import_module(f"components.{step}.step")
    words = [word.replace("$(JOB_COMPLETION_INDEX)", "7") for word in given["args"]]
    options = parser_for(module.Parameters, step, "").parse_args(words)
    assert given["command"] == ["python", "-m", f"components.{step}"]
    assert (options.root, options.split, options.group) == ("gs://bucket/fec", "train", "7/2000")


def test_options_of_the_step_reach_it_as_they_are() -> None:
    args = container(manifest("download", LAUNCH, ["--attempts", "5", "--user-agent", "me $(HOME)"]))["args"]
    assert args[4:8] == ["--attempts", "5", "--user-agent", "me $$(HOME)"]


def test_a_pre_emption_costs_nothing_and_a_wrong_configuration_gets_no_second_try() -> None:
    spec = manifest("download", LAUNCH)["spec"]
    ignored, failed = spec["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert failed["action"] == "FailIndex"
    assert failed["onExitCodes"]["values"] == [ConfigurationError.exit_code]
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (3, 200)


def test_a_pod_has_no_privilege_and_writes_only_to_tmp() -> None:
    job = manifest("download", LAUNCH)
    assert pod(job)["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod(job)["automountServiceAccountToken"] is False
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert [mount["mountPath"] for mount in container(job)["volumeMounts"]] == ["/tmp"]


def test_spot_selects_and_bears_the_nodes_of_gke() -> None:
    asked = pod(manifest("download", FULL))
    assert asked["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert asked["nodeSelector"]["disktype"] == "ssd"
    assert asked["tolerations"][-1]["key"] == "cloud.google.com/gke-spot"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "dev"}, ["split 'dev'", "train"]),
        ({"num_shards": 0}, ["num_shards 0"]),
        ({"num_shards": 100_001}, ["100,001 indexes", "fewer shards"]),
        ({"max_num_jobs": -1}, ["max_num_jobs -1"]),
        ({"parallelism": 0}, ["parallelism 0"]),
        ({"max_failed": 2001}, ["--max-failed 2001", "2000"]),
        ({"root": "fec-data"}, ["fec-data", "gs://"]),
        ({"name": "FEC"}, ["'FEC'", "a-z"]),
        ({"name": "a" * 59}, ["58"]),
        ({"image": ""}, ["--image", "--registry"]),
        ({"image": "Not A Name"}, ["--image 'Not A Name'"]),
        ({"registry": "https://ghcr.io"}, ["registry", "such as ghcr.io/me"]),
        ({"volume": ("pvc:a:/tmp",)}, ["volume", "something mounted at /tmp"]),
        ({"env": ("A",)}, ["env", "NAME=VALUE"]),
        ({"pull_secret": ("A B",)}, ["pull_secret", "'A B'"]),
        ({"cpu": "two"}, ["--cpu 'two'", "500m"]),
        ({"memory": "4GB"}, ["--memory '4GB'", "4Gi"]),
        ({"scratch": "0"}, ["--scratch"]),
        ({"node_selector": ("disktype",)}, ["disktype", "KEY=VALUE"]),
        ({"node_selector": ("a=1", "a=2")}, ["given twice"]),
        ({"node_selector": ("disk type=ssd",)}, ["disk type"]),
        ({"node_selector": ("a=" + "x" * 64,)}, ["value"]),
        ({"toleration": ("dedicated=fec",)}, ["not JSON"]),
        ({"toleration": ('{"key": "a", "effect": "Never"}',)}, ["NoSchedule"]),
        ({"toleration": ('{"key": "a", "colour": "red"}',)}, ["operator"]),
        ({"toleration": ("[]",)}, ["operator"]),
        ({"service_account": "Fec"}, ["--service-account 'Fec'"]),
        ({"secret": "s3_keys"}, ["--secret"]),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_beforehand(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        manifest("download", replace(LAUNCH, **change))
    assert [word for word in words if word not in str(error.value)] == []
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--attempt", "5"], "--attempt"),
        (["--attempts", "many"], "many"),
        (["--group", "0/1"], "--group"),
        (["--root=gs://other"], "--root"),
    ],
)
def test_a_mistake_in_the_options_of_the_step_is_seen_at_once(options: list[str], word: str) -> None:
    with pytest.raises(ConfigurationError, match="after --") as error:
        manifest("download", LAUNCH, options)
    assert word in str(error.value)


@given(st.sets(st.integers(0, 300)))
def test_indexes_are_written_as_they_are_read(indexes: set[int]) -> None:
    assert parse_indexes(show_indexes(indexes)) == tuple(sorted(indexes))


@pytest.mark.parametrize(("text", "indexes"), [("", ()), ("3", (3,)), ("1,3-5,7", (1, 3, 4, 5, 7))])
def test_ranges_of_indexes_are_read(text: str, indexes: tuple[int, ...]) -> None:
    assert parse_indexes(text) == indexes


@pytest.mark.parametrize("text", ["5-3", "a", "1,", "1-"])
def test_what_is_no_range_of_indexes_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_indexes(text)


def test_a_pod_asks_for_what_its_step_takes_and_may_use_more() -> None:
    asked = RESOURCES["download"]
    resources = container(manifest("download", LAUNCH))["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == (asked.cpu_request, asked.cpu)
    assert (resources["requests"]["memory"], resources["limits"]["memory"]) == (asked.memory_request, asked.memory)
    given = container(manifest("download", FULL))["resources"]
    assert given["requests"] == given["limits"]
    assert (given["limits"]["cpu"], given["limits"]["memory"]) == ("500m", "1.5Gi")


def test_the_image_is_that_of_the_registry_or_the_one_that_is_named() -> None:
    ours = replace(LAUNCH, image="", registry="ghcr.io/me", tag="v2")
    assert container(manifest("download", ours))["image"] == "ghcr.io/me/fec-data:v2"
    assert container(manifest("download", replace(ours, image="ghcr.io/me/mine:v3")))["image"] == "ghcr.io/me/mine:v3"


def test_volumes_keys_and_environment_reach_every_pod() -> None:
    job = manifest("download", FULL)
    mounted = {mount["name"]: mount["mountPath"] for mount in container(job)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(job)["volumes"]}
    kinds = {mounted[name]: set(volume) - {"name"} for name, volume in volumes.items()}
    assert kinds == {"/tmp": {"emptyDir"}, "/weights": {"persistentVolumeClaim"}, "/keys": {"secret"}}
    assert pod(job)["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container(job)["env"]
