"""Applies to a task of the pipeline what the engine needs to know of it: where, with what, how often, how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from components.placement import SHARED
from components.resources import Resources
from fec.task_records import NODE
from pipelines.graph.options import CompileOptions

# Where every step keeps its unfinished work.
SCRATCH: Final = "/tmp"  # noqa: S108 - of the pod
SHM: Final = "/dev/shm"  # noqa: S108 - of the pod
# The exit handler reads what lies below the root; a bucket of 2,200 shards takes minutes.
SUMMARY_SECONDS: Final = 3600
# What an S3 client reads from the environment.
S3_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Placement:
    """Where a task runs and what it gets there: run-time parameters of the pipeline, as KFP's channels.

    ``asked`` is what its step asks of a node at the least, whatever it may use.
    """

    image: Any
    cpu: Any
    memory: Any
    node_selector: Any
    tolerations: Any
    asked: Resources


def data_task(task: Any, options: CompileOptions, placement: Placement) -> None:
    """Prepare a task that reads from the network or from storage."""
    _place(task, options, placement)
    _common(task, options, options.data_timeout_seconds)


def plan_task(task: Any, options: CompileOptions, placement: Placement) -> None:
    """Prepare a task that plans: it is told which folders all tasks share, to refuse a root in another."""
    data_task(task, options, placement)
    shared = [volume.path for volume in options.volumes if volume.kind == "pvc"]
    if shared:
        task.set_env_variable(SHARED, ":".join(shared))


def evaluate_task(task: Any, options: CompileOptions, placement: Placement) -> None:
    """Prepare the evaluation, which runs where the data steps do, in an image with TensorFlow."""
    _place(task, options, placement)
    _common(task, options, options.train_timeout_seconds)


def train_task(
    task: Any, options: CompileOptions, placement: Placement, accelerator_type: Any, accelerator_count: Any
) -> None:
    """Prepare the training: its accelerator, and shared memory for its workers."""
    from kfp import kubernetes

    _place(task, options, placement)
    _common(task, options, options.train_timeout_seconds)
    if options.placement:
        task.set_accelerator_type(accelerator_type).set_accelerator_limit(accelerator_count)
        task.register_pipeline_channels([accelerator_type, accelerator_count])
    if options.shm_gib:
        kubernetes.empty_dir_mount(task, "shm", SHM, medium="Memory", size_limit=f"{options.shm_gib}Gi")


def summary_task(task: Any, options: CompileOptions, image: Any) -> None:
    """Prepare the exit handler: the run's own data image, a time-out and a scratch of its own; no retry is taken."""
    task.set_container_image(image)
    _surroundings(task, options, SUMMARY_SECONDS, scratch_gib=min(1, options.scratch_gib))


def _place(task: Any, options: CompileOptions, placement: Placement) -> None:
    from kfp import kubernetes

    task.set_container_image(placement.image)
    if not options.placement:
        return
    task.set_cpu_limit(placement.cpu).set_memory_limit(placement.memory)
    # Without a request Kubernetes keeps as much free for a pod as its limit.
    task.set_cpu_request(placement.asked.cpu_request).set_memory_request(placement.asked.memory_request)
    # KFP 2.17 brings the image into a loop or an exit handler by itself, and leaves the rest outside.
    task.register_pipeline_channels([placement.cpu, placement.memory])
    kubernetes.add_node_selector_json(task, placement.node_selector)
    kubernetes.add_toleration_json(task, placement.tolerations)


def _common(task: Any, options: CompileOptions, timeout_seconds: int) -> None:
    if options.retries:
        task.set_retry(
            num_retries=options.retries,
            backoff_duration=f"{options.backoff_seconds}s",
            backoff_factor=options.backoff_factor,
            # No longest wait, but a window that begins with the first attempt.
            backoff_max_duration=f"{options.retry_window(timeout_seconds)}s",
        )
    _surroundings(task, options, timeout_seconds, scratch_gib=options.scratch_gib)


def _surroundings(task: Any, options: CompileOptions, timeout_seconds: int, *, scratch_gib: int) -> None:
    """What a pod has around its container: a time-out, disk, volumes, keys and environment."""
    from kfp import kubernetes

    # The engine's cache knows parameters and images, not files: a root that was deleted would be left empty.
    task.set_caching_options(False)
    if timeout_seconds:
        kubernetes.set_timeout(task, seconds=timeout_seconds)
    if scratch_gib:
        kubernetes.empty_dir_mount(task, "scratch", SCRATCH, size_limit=f"{scratch_gib}Gi")
    if options.placement:
        kubernetes.use_field_path_as_env(task, NODE, "spec.nodeName")
    for volume in options.volumes:
        if volume.kind == "pvc":
            kubernetes.mount_pvc(task, pvc_name=volume.name, mount_path=volume.path)
        else:
            kubernetes.use_secret_as_volume(task, secret_name=volume.name, mount_path=volume.path)
    for name, value in options.environment.items():
        task.set_env_variable(name, value)
    if options.pull_secret:
        kubernetes.set_image_pull_secrets(task, list(options.pull_secret))
    if options.secret:
        kubernetes.use_secret_as_env(task, options.secret, {key: key for key in S3_KEYS}, optional=True)
