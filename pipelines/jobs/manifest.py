"""The manifest of an Indexed Job: every index runs the step on one group of shards.

It relies on ``backoffLimitPerIndex``, on by default since Kubernetes 1.29, and ``podFailurePolicy``, since 1.26
(https://kubernetes.io/docs/concepts/workloads/controllers/job/).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NoReturn

from components.placement import wrong_image
from components.resources import RESOURCES
from fec import command, layout
from fec import kube_syntax as syntax
from fec.errors import ConfigurationError
from fec.images import REGISTRY, TAG, image
from fec.parameters import Checked, parameter
from fec.storage import is_local, normalized_root
from fec.task_records import NODE, RUN
from pipelines.graph import option_words, spot

# The steps that work shard by shard.
STEPS: Final = ("download", "faces", "datagen")
# Above it Kubernetes allows only 10,000 at a time and as many failures; nobody needs that here.
MAX_COMPLETIONS: Final = 100_000
# The share of indexes that may fail before the rest is given up.
TOLERATED: Final = 0.1
DAY: Final = 24 * 3600
INDEX: Final = "JOB_COMPLETION_INDEX"
INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"
ANNOTATION: Final = "fec-pipeline/"
GIVEN_BY_US: Final = ("--root", "--split", "--group")


@dataclass(frozen=True)
class Launch(Checked):
    """What is to be run, over how many indexes, on which nodes; each field is an option of ``fec jobs launch``."""

    root: str = parameter(help="storage root: gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    split: str = parameter(help="train or eval")
    num_shards: int = parameter(help="shards of the split; for datagen, its record files")
    max_num_jobs: int = parameter(help="only the first so many shards, for a trial; 0: all", default=0)
    parallelism: int = parameter(help="pods at a time", default=50)
    name: str = parameter(help="of the Job (default: fec-STEP-SPLIT)", default="")
    registry: str = parameter(
        help="where the image is, as fec images build was told (else FEC_REGISTRY)",
        default=REGISTRY,
        refuse=option_words.wrong_registry,
    )
    tag: str = parameter(help="of the image (else FEC_TAG)", default=TAG, refuse=option_words.wrong_tag)
    image: str = parameter(help="what the pods run, instead: its whole name", default="")
    cpu: str = parameter(help="cores a pod gets, such as 500m or 2 (default: as on Kubeflow, by step)", default="")
    memory: str = parameter(help="memory a pod gets, such as 2Gi (default: as on Kubeflow, by step)", default="")
    scratch: str = parameter(help="disk a pod gets below /tmp", default="5Gi")
    node_selector: tuple[str, ...] = parameter(help="KEY=VALUE label that nodes must have", default=())
    toleration: tuple[str, ...] = parameter(help="taint of nodes that is borne, as JSON", default=())
    spot: bool = parameter(help="use GKE's Spot nodes; a pre-emption costs no retry", default=False)
    service_account: str = parameter(help="Kubernetes service account of the pods", default="")
    secret: str = parameter(help="Secret whose keys become environment variables, for s3:// say", default="")
    pull_secret: tuple[str, ...] = parameter(
        help="Secret with which the image is pulled", default=(), refuse=option_words.wrong_secrets
    )
    volume: tuple[str, ...] = parameter(
        help="pvc:NAME:/PATH or secret:NAME:/PATH, mounted in every pod: for weights or keys",
        default=(),
        refuse=option_words.wrong_volumes,
    )
    env: tuple[str, ...] = parameter(
        help="NAME=VALUE in every pod's environment", default=(), refuse=option_words.wrong_environment
    )
    retries: int = parameter(help="tries of an index after its first, pre-emptions not counted", default=3)
    max_failed: int = parameter(help="indexes that may fail before all is given up; -1: a tenth", default=-1)
    timeout_seconds: int = parameter(help="seconds after which one pod is ended", default=DAY)
    keep_seconds: int = parameter(help="seconds a finished Job is kept to be looked at", default=7 * DAY)

    @property
    def pod_image(self) -> str:
        """What the pods run; "" where nobody said."""
        return self.image or (image("data", self.registry, self.tag) if self.registry else "")

    @property
    def indexes(self) -> int:
        """One a shard, from the first on."""
        return min(self.max_num_jobs or self.num_shards, self.num_shards)


def job_name(step: str, split: str) -> str:
    """What a Job is called that is given no name."""
    return f"fec-{step}-{split}"


def check(step: str, launch: Launch, step_options: Sequence[str] = ()) -> None:
    """Raises ConfigurationError for what Kubernetes or the step would refuse, and for what no pod could do."""
    for ok, what, expected in (
        (launch.split in layout.SPLITS, "split", f"one of {', '.join(layout.SPLITS)}"),
        (launch.num_shards >= 1, "num_shards", "at least 1"),
        (launch.max_num_jobs >= 0, "max_num_jobs", "0 (all shards) or more"),
        (launch.parallelism >= 1, "parallelism", "at least 1"),
        (launch.retries >= 0, "retries", "0 or more"),
        (-1 <= launch.max_failed <= launch.indexes, "max_failed", f"0 to {launch.indexes}, the number of indexes"),
        (launch.timeout_seconds >= 1, "timeout_seconds", "at least 1"),
        (launch.keep_seconds >= 0, "keep_seconds", "0 or more"),
    ):
        if not ok:
            raise ConfigurationError(f"--{what.replace('_', '-')} {getattr(launch, what)}: expected {expected}")
    if not launch.pod_image:
        raise ConfigurationError("no image: give --registry and --tag as fec images build had them, or --image")
    if wrong := wrong_image(launch.pod_image):
        raise ConfigurationError(f"--image {launch.pod_image!r}: {wrong}")
    if step not in STEPS:
        raise ConfigurationError(f"step {step!r}: expected one of {', '.join(STEPS)}")
    if launch.indexes > MAX_COMPLETIONS:
        raise ConfigurationError(
            f"{launch.indexes:,} indexes: an Indexed Job of Kubernetes has at most {MAX_COMPLETIONS:,}; plan "
            "fewer shards"
        )
    if is_local(launch.root):
        raise ConfigurationError(
            f"--root {launch.root!r}: pods share no folder; use gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"
        )
    normalized_root(launch.root)
    syntax.job_name(launch.name or job_name(step, launch.split), launch.indexes)
    for what in ("service_account", "secret"):
        if getattr(launch, what):
            syntax.dns_name(f"--{what.replace('_', '-')}", getattr(launch, what))
    for what in ("cpu", "memory", "scratch"):
        if getattr(launch, what):
            syntax.quantity(f"--{what}", getattr(launch, what))
    syntax.labels(launch.node_selector)
    for toleration in launch.toleration:
        syntax.toleration(toleration)
    _check_step_options(step, launch, step_options)


def manifest(step: str, launch: Launch, step_options: Sequence[str] = (), namespace: str = "") -> dict[str, Any]:
    """The Job as ``kubectl apply`` takes it; raises ConfigurationError as ``check`` does."""
    check(step, launch, step_options)
    if namespace:
        syntax.dns_name("--namespace", namespace, syntax.MAX_LABEL)

    from kubernetes import client

    r = launch
    labels = {
        "app.kubernetes.io/name": "fec",
        "app.kubernetes.io/component": step,
        "app.kubernetes.io/managed-by": "fec-jobs",
        "fec-pipeline/split": r.split,
    }
    max_failed = r.max_failed if r.max_failed >= 0 else max(1, int(r.indexes * TOLERATED))
    job = client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=client.V1ObjectMeta(
            name=r.name or job_name(step, r.split),
            namespace=namespace or None,
            labels=labels,
            annotations={f"{ANNOTATION}root": r.root, f"{ANNOTATION}split": r.split, f"{ANNOTATION}step": step},
        ),
        spec=client.V1JobSpec(
            completion_mode="Indexed",
            completions=r.indexes,
            parallelism=min(r.parallelism, r.indexes),
            backoff_limit_per_index=r.retries,
            max_failed_indexes=max_failed,
            pod_failure_policy=client.V1PodFailurePolicy(rules=_failure_rules(step)),
            ttl_seconds_after_finished=r.keep_seconds,
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels),
                spec=_pod(step, r, step_options),
            ),
        ),
    )
    return client.ApiClient().sanitize_for_serialization(job)  # type: ignore[no-any-return]


def _failure_rules(container: str) -> list[Any]:
    """A pre-emption costs no retry; a wrong configuration (exit code 2) gets none."""
    from kubernetes import client

    condition = client.V1PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    code = ConfigurationError.exit_code
    codes = client.V1PodFailurePolicyOnExitCodesRequirement(container_name=container, operator="In", values=[code])
    return [
        client.V1PodFailurePolicyRule(action="Ignore", on_pod_conditions=[condition]),
        client.V1PodFailurePolicyRule(action="FailIndex", on_exit_codes=codes),
    ]


def _pod(step: str, r: Launch, step_options: Sequence[str]) -> Any:
    from kubernetes import client

    selector, tolerations = syntax.labels(r.node_selector), [syntax.toleration(text) for text in r.toleration]
    if r.spot:
        selector |= spot.NODE_SELECTOR
        tolerations.append(dict(spot.TOLERATION))
    return client.V1PodSpec(
        restart_policy="Never",
        active_deadline_seconds=r.timeout_seconds,
        automount_service_account_token=False,
        service_account_name=r.service_account or None,
        node_selector=selector or None,
        tolerations=tolerations or None,
        security_context=client.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault")
        ),
        containers=[_container(step, r, step_options)],
        image_pull_secrets=[client.V1LocalObjectReference(name=name) for name in r.pull_secret] or None,
        volumes=[
            client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource(size_limit=r.scratch)),
            *(_volume(number, text) for number, text in enumerate(r.volume)),
        ],
    )


def _container(step: str, r: Launch, step_options: Sequence[str]) -> Any:
    from kubernetes import client

    asked = RESOURCES[step]
    requests = {"cpu": r.cpu or asked.cpu_request, "memory": r.memory or asked.memory_request}
    limits = {"cpu": r.cpu or asked.cpu, "memory": r.memory or asked.memory}
    scratch = {"ephemeral-storage": r.scratch}
    index = client.V1EnvVarSource(
        field_ref=client.V1ObjectFieldSelector(field_path=f"metadata.annotations['{INDEX_ANNOTATION}']")
    )
    node = client.V1EnvVarSource(field_ref=client.V1ObjectFieldSelector(field_path="spec.nodeName"))
    given = (text.split("=", 1) for text in r.env)
    secret = client.V1EnvFromSource(secret_ref=client.V1SecretEnvSource(name=r.secret))
    return client.V1Container(
        name=step,
        image=r.pod_image,
        command=["python", "-m", f"components.{step}"],
        args=_arguments(r, step_options),
        env=[
            client.V1EnvVar(name=INDEX, value_from=index),
            client.V1EnvVar(name=RUN, value=r.name or job_name(step, r.split)),
            client.V1EnvVar(name=NODE, value_from=node),
            *(client.V1EnvVar(name=name, value=_literal(value)) for name, value in given),
        ],
        env_from=[secret] if r.secret else None,
        resources=client.V1ResourceRequirements(requests=requests | scratch, limits=limits | scratch),
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
        volume_mounts=[
            client.V1VolumeMount(name="tmp", mount_path="/tmp"),  # noqa: S108  # of the container, its own
            *(
                client.V1VolumeMount(name=f"given-{number}", mount_path=option_words.Volume.of(text).path)
                for number, text in enumerate(r.volume)
            ),
        ],
    )


def _volume(number: int, text: str) -> Any:
    from kubernetes import client

    given = option_words.Volume.of(text)
    name = f"given-{number}"
    if given.kind == "pvc":
        claim = client.V1PersistentVolumeClaimVolumeSource(claim_name=given.name)
        return client.V1Volume(name=name, persistent_volume_claim=claim)
    return client.V1Volume(name=name, secret=client.V1SecretVolumeSource(secret_name=given.name))


def _arguments(r: Launch, step_options: Sequence[str]) -> list[str]:
    """The step's arguments: Kubernetes puts the index where ``$(JOB_COMPLETION_INDEX)`` stands, and only there."""
    given = [_literal(word) for word in ("--root", r.root, "--split", r.split, *step_options)]
    return [*given, "--group", f"$({INDEX})/{r.num_shards}"]


def _literal(word: str) -> str:
    """``word`` with nothing in it that Kubernetes would expand."""
    return word.replace("$(", "$$(")


class _StepOptions(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"after --: {message}")


def _check_step_options(step: str, launch: Launch, step_options: Sequence[str]) -> None:
    """Parse the step's options here, where a mistake is seen at once, as each pod will parse them."""
    ours = next((word for word in step_options if word.split("=")[0] in GIVEN_BY_US), "")
    if ours:
        raise ConfigurationError(f"after --: {ours} is not to be given; it follows from the Job")
    parser = _StepOptions(prog=step, add_help=False, allow_abbrev=False)
    command.add_options(parser, import_module(f"components.{step}.step").Parameters)
    parser.parse_args([*step_options, "--root", launch.root, "--split", launch.split, "--group", "0/1"])
