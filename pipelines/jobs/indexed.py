"""An Indexed Job of Kubernetes, whatever its pods do: what marks it as ours, and when it is given up.

It relies on ``backoffLimitPerIndex``, on by default since Kubernetes 1.29, and ``podFailurePolicy``, since 1.26
(https://kubernetes.io/docs/concepts/workloads/controllers/job/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipelines.jobs.pods import Pods, failure_rules

MARK: Final = "fec-pipeline/"


def labels(step: str) -> dict[str, str]:
    """What the Job of a ``step``, its pods and its Service bear, by which they are found again."""
    return {
        "app.kubernetes.io/name": "fec",
        "app.kubernetes.io/component": step,
        "app.kubernetes.io/managed-by": "fec-jobs",
    }


def metadata(name: str, namespace: str, marks: Mapping[str, str], notes: Mapping[str, str] | None = None) -> Any:
    """A document's name, labels (``marks``) and annotations (``notes``); in no ``namespace``, kubectl's own counts."""
    from kubernetes import client

    annotations = {f"{MARK}{key}": value for key, value in (notes or {}).items()}
    return client.V1ObjectMeta(
        name=name, namespace=namespace or None, labels=dict(marks), annotations=annotations or None
    )


def job(step: str, r: Pods, about: Any, spec: Any, *, indexes: int, parallelism: int, max_failed: int) -> Any:
    """The Job that runs a pod of ``spec`` for every index, ``parallelism`` at a time; ``about`` it its metadata.

    It is given up when more than ``max_failed`` indexes have failed ``r.retries`` times more than once.
    """
    from kubernetes import client

    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=about,
        spec=client.V1JobSpec(
            completion_mode="Indexed",
            completions=indexes,
            parallelism=min(parallelism, indexes),
            backoff_limit_per_index=r.retries,
            max_failed_indexes=max_failed,
            pod_failure_policy=client.V1PodFailurePolicy(rules=failure_rules(step)),
            ttl_seconds_after_finished=r.keep_seconds,
            template=client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=about.labels), spec=spec),
        ),
    )
