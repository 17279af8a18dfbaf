"""The Job in the cluster: made, looked at, deleted, through the official client."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fec.errors import ConfigurationError, RunFailed
from pipelines.jobs import indexed
from pipelines.jobs.indexes import parse_indexes
from pipelines.jobs.pods import INDEX_ANNOTATION

TIMEOUT: Final = (10, 60)


@dataclass(frozen=True)
class Cluster:
    """A cluster's batch API, its API of pods and services, and the namespace we work in."""

    api: Any
    pods: Any
    namespace: str
    host: str


@dataclass(frozen=True)
class JobState:
    """How far a Job is, in its own words: pods by state, indexes completed and failed, and how it ended (or "")."""

    name: str
    root: str
    completions: int
    active: int
    completed: tuple[int, ...]
    failed: tuple[int, ...]
    ended: str
    reason: str


def connect(kubeconfig: str = "", context: str = "", namespace: str = "") -> Cluster:
    """The cluster of a kubeconfig's context, or the one we run in; ConfigurationError where there is none."""
    import yaml
    from kubernetes import client, config

    try:
        contexts, active = config.list_kube_config_contexts(kubeconfig or None)
        chosen = next((item for item in contexts if item["name"] == context), None) if context else active
        if chosen is None:
            known = ", ".join(item["name"] for item in contexts)
            raise ConfigurationError(f"--context {context!r}: the kubeconfig has {known}")
        api_client = config.new_client_from_config(kubeconfig or None, context or None)
        named = (chosen.get("context") or {}).get("namespace", "")
    except config.ConfigException as error:
        if kubeconfig or context or os.environ.get("KUBECONFIG"):
            raise ConfigurationError(f"kubeconfig {kubeconfig or '(default)'}: {_line(error)}") from None
        api_client, named = _in_cluster(), ""
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"kubeconfig {kubeconfig or '(default)'}: {_line(error)}") from None
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it announces each try again; the last error says it all
    return Cluster(
        client.BatchV1Api(api_client),
        client.CoreV1Api(api_client),
        namespace or named or "default",
        api_client.configuration.host,
    )


def _in_cluster() -> Any:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)
    except config.ConfigException:
        raise ConfigurationError(
            "no cluster: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG"
        ) from None
    return client.ApiClient(configuration)


def create(cluster: Cluster, manifest: dict[str, Any], service: dict[str, Any] | None = None) -> str:
    """Make the Job and its Service, which goes when the Job does; its name. ConfigurationError if there is one."""
    name = str(manifest["metadata"]["name"])
    made = _asked(cluster, cluster.api.create_namespaced_job, cluster.namespace, manifest)
    if made is None:
        raise ConfigurationError(
            f"there is no namespace {cluster.namespace!r} in the cluster; make it, or name another"
        )
    if service is not None:
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made.metadata.uid}
        owned = service | {"metadata": service["metadata"] | {"ownerReferences": [owner]}}
        _asked(cluster, cluster.pods.create_namespaced_service, cluster.namespace, owned)
    return name


def read(cluster: Cluster, name: str) -> JobState | None:
    """How far the Job of this name is; None if there is none."""
    job = _asked(cluster, cluster.api.read_namespaced_job, name, cluster.namespace)
    if job is None:
        return None
    status = job.status
    ends = [item for item in status.conditions or [] if item.type in ("Complete", "Failed") and item.status == "True"]
    return JobState(
        name=name,
        root=(job.metadata.annotations or {}).get(f"{indexed.MARK}root", ""),
        completions=job.spec.completions,
        active=status.active or 0,
        completed=parse_indexes(status.completed_indexes or ""),
        failed=parse_indexes(status.failed_indexes or ""),
        ended=ends[0].type if ends else "",
        reason=" ".join(filter(None, (ends[0].reason, ends[0].message))) if ends else "",
    )


@dataclass(frozen=True)
class PodState:
    """A pod of a Job: the index it works on, its phase, and the exit code of its container if it has ended."""

    name: str
    index: int
    phase: str
    exit_code: int | None


def pods(cluster: Cluster, name: str) -> list[PodState]:
    """The pods of a Job that the cluster still has, by index, the last of an index last."""
    listed = _asked(cluster, cluster.pods.list_namespaced_pod, cluster.namespace, label_selector=f"job-name={name}")
    found = [_pod(pod) for pod in sorted(listed.items, key=_created)] if listed is not None else []
    return sorted(found, key=lambda pod: pod.index)


def log(cluster: Cluster, pod: str, lines: int) -> str:
    """The last ``lines`` that a pod has said; "" where the cluster has no such pod any more."""
    said = _asked(cluster, cluster.pods.read_namespaced_pod_log, pod, cluster.namespace, tail_lines=lines)
    return str(said or "")


def _created(pod: Any) -> str:
    return str(pod.metadata.creation_timestamp or "")


def _pod(pod: Any) -> PodState:
    ended = [status.state.terminated for status in pod.status.container_statuses or () if status.state.terminated]
    return PodState(
        name=pod.metadata.name,
        index=int((pod.metadata.annotations or {}).get(INDEX_ANNOTATION, -1)),
        phase=pod.status.phase or "",
        exit_code=ended[0].exit_code if ended else None,
    )


def delete(cluster: Cluster, name: str) -> bool:
    """Delete the Job and its pods; whether there was one. What its pods stored stays."""
    options = {"propagation_policy": "Background"}
    return _asked(cluster, cluster.api.delete_namespaced_job, name, cluster.namespace, **options) is not None


def _asked(cluster: Cluster, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any | None:
    """What the API gives, None where it says 404; its other errors in words."""
    import urllib3
    from kubernetes import client

    try:
        return function(*arguments, _request_timeout=TIMEOUT, **options)
    except client.ApiException as error:
        if error.status == 404:
            return None
        message = _line(_message(error))
        if not error.status:
            raise ConfigurationError(f"the cluster at {cluster.host} cannot be reached: {message}") from None
        if error.status == 409:
            raise ConfigurationError(f"{message}; look at it with fec jobs status, or give another --name") from None
        if error.status in (401, 403):
            raise ConfigurationError(f"the cluster does not allow this ({error.status}): {message}") from None
        if error.status == 429 or error.status >= 500:
            raise RunFailed(f"the cluster failed ({error.status}): {message}; try again") from None
        raise ConfigurationError(f"the cluster refused ({error.status}): {message}") from None
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigurationError(f"the cluster at {cluster.host} cannot be reached: {_line(reason)}") from None


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason or "no reason given")


def _line(value: object, longest: int = 300) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
