"""The pods of a Job, whatever its step: what they are given, what they may use, and what Kubernetes would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.accelerators import Accelerator
from components.placement import wrong_image
from components.resources import RESOURCES
from fec import kube_syntax as syntax
from fec.errors import ConfigurationError
from fec.images import REGISTRY, TAG, image
from fec.parameters import Checked, parameter
from fec.storage import is_local, normalized_root
from fec.task_records import NODE
from pipelines.graph import option_words, spot

DAY: Final = 24 * 3600
INDEX: Final = "JOB_COMPLETION_INDEX"
INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, kw_only=True)
class Pods(Checked):
    """What the pods of a Job are, whatever its step; each field is an option of ``fec jobs launch``."""

    root: str = parameter(help="storage root: gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
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
    retries: int = parameter(help="tries of an index after its first, pre-emptions not counted", default=3, at_least=0)
    timeout_seconds: int = parameter(help="seconds after which one pod is ended", default=DAY, at_least=1)
    keep_seconds: int = parameter(help="seconds a finished Job is kept to be looked at", default=7 * DAY, at_least=0)

    def image_of(self, kind: str) -> str:
        """What the pods run, of the images the one of this ``kind`` (data, train); "" where nobody said."""
        return self.image or (image(kind, self.registry, self.tag) if self.registry else "")


def check_image(name: str) -> None:
    """Raises ConfigurationError for no image, and for a name that no registry knows."""
    if not name:
        raise ConfigurationError("no image: give --registry and --tag as fec images build had them, or --image")
    if wrong := wrong_image(name):
        raise ConfigurationError(f"--image {name!r}: {wrong}")


def check_pods(launch: Pods) -> None:
    """Raises ConfigurationError for pods that Kubernetes would refuse, or that could not reach the root."""
    if is_local(launch.root):
        raise ConfigurationError(
            f"--root {launch.root!r}: pods share no folder; use gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"
        )
    normalized_root(launch.root)
    for what in ("service_account", "secret"):
        if getattr(launch, what):
            syntax.dns_name(f"--{what.replace('_', '-')}", getattr(launch, what))
    for what in ("cpu", "memory", "scratch"):
        if getattr(launch, what):
            syntax.quantity(f"--{what}", getattr(launch, what))
    syntax.labels(launch.node_selector)
    for toleration in launch.toleration:
        syntax.toleration(toleration)


def failure_rules(container: str) -> list[Any]:
    """A pre-emption costs no retry; a wrong configuration (exit code 2) gets none."""
    from kubernetes import client

    condition = client.V1PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    code = ConfigurationError.exit_code
    codes = client.V1PodFailurePolicyOnExitCodesRequirement(container_name=container, operator="In", values=[code])
    return [
        client.V1PodFailurePolicyRule(action="Ignore", on_pod_conditions=[condition]),
        client.V1PodFailurePolicyRule(action="FailIndex", on_exit_codes=codes),
    ]


def pod(
    step: str,
    r: Pods,
    image: str,
    arguments: Sequence[str],
    variables: Sequence[Any],
    booked: Accelerator | None = None,
) -> Any:
    """The pod that runs ``step`` with ``arguments``; in its environment are its index, its node and ``variables``."""
    from kubernetes import client

    selector, tolerations = syntax.labels(r.node_selector), [syntax.toleration(text) for text in r.toleration]
    if booked is not None:
        selector |= dict(booked.node_selector)
        tolerations += [dict(toleration) for toleration in booked.tolerations]
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
        containers=[_container(step, r, image, arguments, variables, booked)],
        image_pull_secrets=[client.V1LocalObjectReference(name=name) for name in r.pull_secret] or None,
        volumes=[
            client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource(size_limit=r.scratch)),
            *(_volume(number, text) for number, text in enumerate(r.volume)),
        ],
    )


def _container(
    step: str, r: Pods, image: str, arguments: Sequence[str], variables: Sequence[Any], booked: Accelerator | None
) -> Any:
    from kubernetes import client

    asked = RESOURCES[step]
    requests = {"cpu": r.cpu or asked.cpu_request, "memory": r.memory or asked.memory_request}
    limits = {"cpu": r.cpu or asked.cpu, "memory": r.memory or asked.memory}
    others = {"ephemeral-storage": r.scratch} | ({booked.resource: str(booked.count)} if booked is not None else {})
    index = client.V1EnvVarSource(
        field_ref=client.V1ObjectFieldSelector(field_path=f"metadata.annotations['{INDEX_ANNOTATION}']")
    )
    node = client.V1EnvVarSource(field_ref=client.V1ObjectFieldSelector(field_path="spec.nodeName"))
    given = (text.split("=", 1) for text in r.env)
    secret = client.V1EnvFromSource(secret_ref=client.V1SecretEnvSource(name=r.secret))
    return client.V1Container(
        name=step,
        image=image,
        command=["python", "-m", f"components.{step}"],
        args=list(arguments),
        env=[
            client.V1EnvVar(name=INDEX, value_from=index),
            *variables,
            client.V1EnvVar(name=NODE, value_from=node),
            *(client.V1EnvVar(name=name, value=literal(value)) for name, value in given),
        ],
        env_from=[secret] if r.secret else None,
        resources=client.V1ResourceRequirements(requests=requests | others, limits=limits | others),
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


def literal(word: str) -> str:
    """``word`` with nothing in it that Kubernetes would expand."""
    return word.replace("$(", "$$(")
