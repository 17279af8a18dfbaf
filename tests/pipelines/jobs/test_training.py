"""Training as a Job: what Kubernetes accepts, what a host is told of the others, what is refused beforehand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.train.devices import Hosts, hosts_of
from components.train.parameters import Parameters
from fec.command import parser_for
from fec.errors import ConfigurationError
from pipelines import cli
from pipelines.jobs.training import TrainLaunch, manifests
from tests.kube_server.server import faults, serving

ONE = TrainLaunch(root="gs://bucket/fec", image="ghcr.io/me/fec-train:v1")
GPUS = replace(ONE, accelerator="nvidia-l4", accelerator_count=4)
SEVERAL = replace(GPUS, hosts=3, spot=True, service_account="fec")
TPU = replace(ONE, accelerator="v5e", topology="2x4", image="ghcr.io/me/fec-train-tpu:v1")


def container(job: dict[str, Any]) -> Any:
    return job["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("launch", [ONE, GPUS, SEVERAL, TPU])
def test_kubernetes_accepts_the_manifests(launch: TrainLaunch) -> None:
    job, *services = manifests(launch, namespace="fec")
    assert faults(job, "1.33") == []
    assert len(services) == (launch.hosts > 1)
    for service in services:
        kubernetes_validate.validate(service, "1.33", strict=True)


@pytest.mark.parametrize(
    ("launch", "devices", "resources"),
    [
        (ONE, ["--device", "cpu"], {}),
        (GPUS, ["--device", "gpu", "--device-count", "4"], {"nvidia.com/gpu": "4"}),
        (SEVERAL, ["--device", "gpu", "--device-count", "12"], {"nvidia.com/gpu": "4"}),
        (TPU, ["--device", "tpu"], {"google.com/tpu": "8"}),
    ],
)
def test_what_is_booked_is_what_train_is_told_to_use(
    launch: TrainLaunch, devices: list[str], resources: dict[str, str]
) -> None:
    given = container(manifests(launch, ["--model", "base"])[0])
    assert given["args"] == ["--root", "gs://bucket/fec", "--model", "base", *devices]
    parser_for(Parameters, "train", "").parse_args(given["args"])
    assert {key: value for key, value in given["resources"]["limits"].items() if "/" in key} == resources


def test_each_host_is_told_where_the_others_are_and_which_it_is() -> None:
    job, service = manifests(SEVERAL)
    variables = {variable["name"]: variable.get("value", "") for variable in container(job)["env"]}
    # Kubernetes puts in only what stands before.
    assert list(variables).index("JOB_COMPLETION_INDEX") < list(variables).index("TF_CONFIG")
    told = variables["TF_CONFIG"]
    seen = [hosts_of({"TF_CONFIG": told.replace("$(JOB_COMPLETION_INDEX)", str(index))})[0] for index in range(3)]
    assert seen == [Hosts(3, 0), Hosts(3, 1), Hosts(3, 2)]
    workers = json.loads(variables["TF_CONFIG"].replace("$(JOB_COMPLETION_INDEX)", "0"))["cluster"]["worker"]
    assert workers == [f"fec-train-{index}.fec-train:2222" for index in range(3)]
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"] == "fec-train"
    assert service["spec"] == {
        "clusterIP": "None",
        "selector": {"job-name": "fec-train"},
        "publishNotReadyAddresses": True,
        "ports": [{"name": "training", "port": 2222}],
    }


def test_a_host_alone_is_told_of_no_others() -> None:
    (job,) = manifests(GPUS)
    assert "TF_CONFIG" not in {variable["name"] for variable in container(job)["env"]}


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({"hosts": 0}, [], "hosts 0: expected at least 1"),
        ({"hosts": 2, "name": "1st"}, [], "a letter first"),
        ({"root": "folder"}, [], "pods share no folder"),
        ({"accelerator": "", "accelerator_count": 2}, [], "without an accelerator"),
        ({"accelerator_count": 3}, [], "3 of nvidia-l4"),
        ({"image": "ghcr.io/me/fec-train-tpu:v1"}, [], "fec-train can"),
        ({"accelerator": "v5e", "topology": "2x4", "accelerator_count": 0}, [], "fec-train-tpu can"),
        ({**vars(TPU), "hosts": 2}, [], "of one host"),
        ({}, ["--device", "cpu"], "--device is not to be given"),
        ({}, ["--steps", "many"], "steps"),
        ({}, ["--steps", "-1"], "at least 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], words: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        manifests(replace(GPUS, **changes), words)


def fec(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["jobs", *arguments])
    return ended.value.code


def test_it_is_launched_with_a_service_that_goes_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch = ("launch", "train", "--root", "gs://bucket/fec", "--image", "fec-train", "--hosts", "2")
    with serving() as server:
        kubeconfig = server.kubeconfig(tmp_path)
        assert fec(*launch, "--kubeconfig", kubeconfig, "--", "--model", "base") == 0
        owners = server.services["fec", "fec-train"]["metadata"]["ownerReferences"]
        assert owners == [{"apiVersion": "batch/v1", "kind": "Job", "name": "fec-train", "uid": "uid-fec-train"}]
        assert fec("delete", "train", "--kubeconfig", kubeconfig) == 0
        assert not server.jobs
        assert server.violations == []
    assert capsys.readouterr().out == "fec-train: 2 hosts\nfec-train: deleted\n"


def test_a_dry_run_prints_both(capsys: pytest.CaptureFixture[str]) -> None:
    launch = ("launch", "train", "--root", "gs://bucket/fec", "--image", "fec-train", "--hosts", "2", "--dry-run")
    assert fec(*launch) == 0
    assert [document["kind"] for document in yaml.safe_load_all(capsys.readouterr().out)] == ["Job", "Service"]
