"""Training as one Job: a pod with what is booked for it, or several that find each other by a headless Service.

An index is a host. Kubernetes names the pods of an Indexed Job JOB-INDEX, and a headless Service of which they are a
subdomain gives these names addresses (https://kubernetes.io/docs/tasks/job/job-with-pod-to-pod-communication/);
TensorFlow reads who the others are from TF_CONFIG.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.accelerators import Accelerator, accelerator
from components.placement import DEVICES, booked, check_accelerator
from components.train.parameters import Parameters
from fec import command
from fec import kube_syntax as syntax
from fec.errors import ConfigurationError
from fec.parameters import parameter
from fec.task_records import RUN
from pipelines.jobs import indexed
from pipelines.jobs.manifest import StepOptions
from pipelines.jobs.pods import INDEX, Pods, check_image, check_pods, literal, pod

STEP: Final = "train"
# Where the processes of a training listen for each other.
PORT: Final = 2222
_GIVEN_BY_US: Final = ("--root", "--device", "--device-count")


@dataclass(frozen=True, kw_only=True)
class TrainLaunch(Pods):
    """On how many hosts to train, and what each has."""

    hosts: int = parameter(help="pods that train together, each on a node of its own", default=1, at_least=1)
    accelerator: str = parameter(help="gpu (any NVIDIA GPU), a GKE GPU label, or a TPU such as v5e", default="")
    accelerator_count: int = parameter(help="GPUs a pod gets; 0: one, or all chips of the topology", default=0)
    topology: str = parameter(help="of a TPU, such as 2x4; of one host", default="")
    name: str = parameter(help="of the Job", default="fec-train")

    @property
    def pod_image(self) -> str:
        """What the pods run; "" where nobody said."""
        on = self.booked
        return self.image_of("train-tpu" if on is not None and DEVICES[on.resource] == "tpu" else "train")

    @property
    def booked(self) -> Accelerator | None:
        """What a pod asks for beside CPU and memory; ConfigurationError for what GKE has not got."""
        if self.accelerator:
            return accelerator(self.accelerator, self.accelerator_count, self.topology)
        if self.accelerator_count or self.topology:
            raise ConfigurationError(
                "--accelerator-count or --topology without an accelerator: give --accelerator gpu say"
            )
        return None


def manifests(launch: TrainLaunch, step_options: Sequence[str] = (), namespace: str = "") -> list[dict[str, Any]]:
    """The Job and, for several hosts, its Service, as ``kubectl apply`` takes them.

    Raises ConfigurationError for what Kubernetes or the step would refuse.
    """
    check(launch, step_options)
    if namespace:
        syntax.dns_name("--namespace", namespace, syntax.MAX_LABEL)

    from kubernetes import client

    r = launch
    about = indexed.metadata(r.name, namespace, indexed.labels(STEP), {"root": r.root, "step": STEP})
    spec = pod(STEP, r, r.pod_image, _arguments(r, step_options), _variables(r), r.booked)
    spec.subdomain = r.name if r.hosts > 1 else None
    # Without one of the hosts the others cannot go on.
    job = indexed.job(STEP, r, about, spec, indexes=r.hosts, parallelism=r.hosts, max_failed=0)
    made = [job] if r.hosts == 1 else [job, _service(r, namespace)]
    return [client.ApiClient().sanitize_for_serialization(document) for document in made]


def check(launch: TrainLaunch, step_options: Sequence[str] = ()) -> None:
    """Raises ConfigurationError for what Kubernetes or the step would refuse, and for what would stand idle."""
    check_image(launch.pod_image)
    syntax.job_name(launch.name, launch.hosts)
    if launch.hosts > 1 and not launch.name[0].isalpha():
        raise ConfigurationError(f"--name {launch.name}: expected a letter first, as a Service's name has")
    check_pods(launch)
    booked_here = launch.booked
    if booked_here is not None:
        check_accelerator(booked_here.resource, str(booked_here.count), launch.pod_image)
        if launch.hosts > 1 and DEVICES[booked_here.resource] == "tpu":
            raise ConfigurationError(f"--hosts {launch.hosts} with a TPU: training drives the TPUs of one host; give 1")
    ours = next((word for word in step_options if word.split("=")[0] in _GIVEN_BY_US), "")
    if ours:
        raise ConfigurationError(f"after --: {ours} is not to be given; it follows from the Job")
    parser = StepOptions(prog=STEP, add_help=False, allow_abbrev=False)
    command.add_options(parser, Parameters)
    command.parameters_from(Parameters, parser.parse_args([*step_options, "--root", launch.root]))


def _arguments(r: TrainLaunch, step_options: Sequence[str]) -> list[str]:
    found = r.booked
    devices: list[str] = ["--device", "cpu"]
    if found is not None:
        asked = booked({"accelerator_type": found.resource, "accelerator_count": found.count})
        devices = ["--device", asked["device"]]
        if "device_count" in asked:
            devices += ["--device-count", str(asked["device_count"] * r.hosts)]
    return [literal(word) for word in ("--root", r.root, *step_options, *devices)]


def _variables(r: TrainLaunch) -> list[Any]:
    """The environment beside the index, which Kubernetes puts where ``$(JOB_COMPLETION_INDEX)`` stands."""
    from kubernetes import client

    variables = [client.V1EnvVar(name=RUN, value=r.name)]
    if r.hosts > 1:
        cluster = {"worker": [f"{r.name}-{index}.{r.name}:{PORT}" for index in range(r.hosts)]}
        config = f'{{"cluster": {json.dumps(cluster)}, "task": {{"type": "worker", "index": $({INDEX})}}}}'
        variables.append(client.V1EnvVar(name="TF_CONFIG", value=config))
    return variables


def _service(r: TrainLaunch, namespace: str) -> Any:
    from kubernetes import client

    return client.V1Service(
        api_version="v1",
        kind="Service",
        metadata=indexed.metadata(r.name, namespace, indexed.labels(STEP)),
        spec=client.V1ServiceSpec(
            cluster_ip="None",
            selector={"job-name": r.name},
            # They look for each other before any of them is ready.
            publish_not_ready_addresses=True,
            ports=[client.V1ServicePort(name="training", port=PORT)],
        ),
    )
