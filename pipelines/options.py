"""What is fixed when the pipeline is compiled: the settings that KFP takes no run-time parameter for."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from fec.command import parameter
from fec.errors import ConfigurationError

# A loop of more iterations comes near the limits of the engine's own bookkeeping (about 1 MiB a run).
MAX_PARALLELISM = 200


@dataclass(frozen=True)
class CompileOptions:
    """Engine settings, each also an option of ``fec compile``.

    Raises ConfigurationError for a value the engine would refuse or misunderstand.
    """

    parallelism: int = parameter(help=f"groups of one loop that run at a time, 1 to {MAX_PARALLELISM}", default=50)
    retries: int = parameter(
        help="how often a failed task of the data steps starts again, each time where it stopped", default=3
    )
    backoff_seconds: int = parameter(help="seconds before the first retry", default=60)
    backoff_factor: float = parameter(help="each later retry waits this many times longer", default=2.0)
    backoff_max_seconds: int = parameter(help="the longest wait before a retry, in seconds", default=3600)
    data_timeout_seconds: int = parameter(
        help="seconds after which one attempt of a data task is ended, 0: never", default=24 * 3600
    )
    train_timeout_seconds: int = parameter(
        help="seconds after which one attempt of training is ended, 0: never", default=48 * 3600
    )

    def __post_init__(self) -> None:
        if not 1 <= self.parallelism <= MAX_PARALLELISM:
            raise ConfigurationError(f"parallelism {self.parallelism}: expected 1 to {MAX_PARALLELISM}")
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 0:
                raise ConfigurationError(f"{field.name} {getattr(self, field.name)}: expected 0 or more")
        if self.backoff_factor < 1:
            raise ConfigurationError(f"backoff_factor {self.backoff_factor}: expected 1 or more")


# kfp.local runs at most two iterations at a time and waits in place before a retry: a run on one machine
# ends at once instead, and is started again by hand.
LOCAL = CompileOptions(parallelism=2, retries=0, data_timeout_seconds=0, train_timeout_seconds=0)


def data_task(task: Any, options: CompileOptions) -> Any:
    """Apply ``options`` to a task that reads from the network or from storage; returns the task."""
    if options.retries:
        task.set_retry(
            num_retries=options.retries,
            backoff_duration=f"{options.backoff_seconds}s",
            backoff_factor=options.backoff_factor,
            backoff_max_duration=f"{options.backoff_max_seconds}s",
        )
    return _common(task, options.data_timeout_seconds)


def train_task(task: Any, options: CompileOptions) -> Any:
    """Apply ``options`` to a task of training or evaluation; returns the task."""
    return _common(task, options.train_timeout_seconds)


def _common(task: Any, timeout_seconds: int) -> Any:
    task.set_caching_options(False)  # a step knows by its _DONE.json whether there is anything to do
    if timeout_seconds:
        from kfp import kubernetes

        kubernetes.set_timeout(task, seconds=timeout_seconds)
    return task
