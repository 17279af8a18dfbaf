"""Applies to a task of the pipeline what the engine needs to know of it: where, with what, how often, how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pipelines.graph.options import CompileOptions

# Where every step keeps its unfinished work.
SCRATCH: Final = "/tmp"  # noqa: S108 - of the pod
SHM: Final = "/dev/shm"  # noqa: S108 - of the pod
# What an S3 client reads from the environment.
S3_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Placement:
    """Where a task runs and what it gets there: run-time parameters of the pipeline, as KFP's channels."""

    image: Any
    cpu: Any
    memory: Any
    node_selector: Any
    tolerations: Any


def data_task(task: Any, options: CompileOptions, placement: Placement) -> None:
    """Prepare a task that reads from the network or from storage."""
    _place(task, options, placement)
    _common(task, options, options.data_timeout_seconds)


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


def summary_task(task: Any, options: CompileOptions) -> None:
    """Prepare the exit handler, of which the engine takes no more than this."""
    task.set_caching_options(False)
    _secret(task, options)


def _place(task: Any, options: CompileOptions, placement: Placement) -> None:
    from kfp import kubernetes

    task.set_container_image(placement.image)
    if not options.placement:
        return
    # A request that is not given is as high as the limit.
    task.set_cpu_limit(placement.cpu).set_memory_limit(placement.memory)
    # KFP 2.17 brings the image into a loop or an exit handler by itself, and leaves the rest outside.
    task.register_pipeline_channels([placement.cpu, placement.memory])
    kubernetes.add_node_selector_json(task, placement.node_selector)
    kubernetes.add_toleration_json(task, placement.tolerations)


def _common(task: Any, options: CompileOptions, timeout_seconds: int) -> None:
    from kfp import kubernetes

    task.set_caching_options(options.caching)
    if options.retries:
        task.set_retry(
            num_retries=options.retries,
            backoff_duration=f"{options.backoff_seconds}s",
            backoff_factor=options.backoff_factor,
            backoff_max_duration=f"{options.backoff_max_seconds}s",
        )
    if timeout_seconds:
        kubernetes.set_timeout(task, seconds=timeout_seconds)
    if options.scratch_gib:
        kubernetes.empty_dir_mount(task, "scratch", SCRATCH, size_limit=f"{options.scratch_gib}Gi")
    _secret(task, options)


def _secret(task: Any, options: CompileOptions) -> None:
    from kfp import kubernetes

    if options.secret:
        kubernetes.use_secret_as_env(task, options.secret, {key: key for key in S3_KEYS}, optional=True)
