"""A data step as an Indexed Job: every index runs it on one group of shards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NoReturn

from fec import command, layout
from fec import kube_syntax as syntax
from fec.errors import ConfigurationError
from fec.parameters import parameter
from fec.task_records import RUN
from pipelines.jobs import indexed
from pipelines.jobs.pods import INDEX, Pods, check_image, check_pods, literal, pod

# The steps that work shard by shard.
STEPS: Final = ("download", "faces", "datagen")
# Above it Kubernetes allows only 10,000 at a time and as many failures; nobody needs that here.
MAX_COMPLETIONS: Final = 100_000
# The share of indexes that may fail before the rest is given up.
TOLERATED: Final = 0.1
GIVEN_BY_US: Final = ("--root", "--split", "--group")


@dataclass(frozen=True, kw_only=True)
class Launch(Pods):
    """What is to be run, over how many indexes."""

    split: str = parameter(help="train or eval", choices=layout.SPLITS)
    num_shards: int = parameter(help="shards of the split; for datagen, its record files", at_least=1)
    max_num_jobs: int = parameter(help="only the first so many shards, for a trial; 0: all", default=0, at_least=0)
    parallelism: int = parameter(help="pods at a time", default=50, at_least=1)
    name: str = parameter(help="of the Job (default: fec-STEP-SPLIT)", default="")
    max_failed: int = parameter(
        help="indexes that may fail before all is given up; -1: a tenth", default=-1, at_least=-1
    )

    @property
    def pod_image(self) -> str:
        """What the pods run; "" where nobody said."""
        return self.image_of("data")

    @property
    def indexes(self) -> int:
        """One a shard, from the first on."""
        return min(self.max_num_jobs or self.num_shards, self.num_shards)


def job_name(step: str, split: str) -> str:
    """What a Job is called that is given no name."""
    return f"fec-{step}-{split}"


def check(step: str, launch: Launch, step_options: Sequence[str] = ()) -> None:
    """Raises ConfigurationError for what Kubernetes or the step would refuse, and for what no pod could do."""
    check_image(launch.pod_image)
    if step not in STEPS:
        raise ConfigurationError(f"step {step!r}: expected one of {', '.join(STEPS)}")
    if launch.max_failed > launch.indexes:
        raise ConfigurationError(
            f"--max-failed {launch.max_failed}: expected 0 to {launch.indexes}, the number of indexes"
        )
    if launch.indexes > MAX_COMPLETIONS:
        raise ConfigurationError(
            f"{launch.indexes:,} indexes: an Indexed Job of Kubernetes has at most {MAX_COMPLETIONS:,}; plan "
            "fewer shards"
        )
    syntax.job_name(launch.name or job_name(step, launch.split), launch.indexes)
    check_pods(launch)
    _check_step_options(step, launch, step_options)


def manifest(step: str, launch: Launch, step_options: Sequence[str] = (), namespace: str = "") -> dict[str, Any]:
    """The Job as ``kubectl apply`` takes it; raises ConfigurationError as ``check`` does."""
    check(step, launch, step_options)
    if namespace:
        syntax.dns_name("--namespace", namespace, syntax.MAX_LABEL)

    from kubernetes import client

    r = launch
    name = r.name or job_name(step, r.split)
    about = indexed.metadata(
        name,
        namespace,
        indexed.labels(step) | {f"{indexed.MARK}split": r.split},
        {"root": r.root, "split": r.split, "step": step},
    )
    variables = [client.V1EnvVar(name=RUN, value=name)]
    job = indexed.job(
        step,
        r,
        about,
        pod(step, r, r.pod_image, _arguments(r, step_options), variables),
        indexes=r.indexes,
        parallelism=r.parallelism,
        max_failed=r.max_failed if r.max_failed >= 0 else max(1, int(r.indexes * TOLERATED)),
    )
    return client.ApiClient().sanitize_for_serialization(job)  # type: ignore[no-any-return]


def _arguments(r: Launch, step_options: Sequence[str]) -> list[str]:
    """The step's arguments: Kubernetes puts the index where ``$(JOB_COMPLETION_INDEX)`` stands, and only there."""
    given = [literal(word) for word in ("--root", r.root, "--split", r.split, *step_options)]
    return [*given, "--group", f"$({INDEX})/{r.num_shards}"]


class StepOptions(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"after --: {message}")


def _check_step_options(step: str, launch: Launch, step_options: Sequence[str]) -> None:
    """Parse the step's options here, where a mistake is seen at once, as each pod will parse them."""
    ours = next((word for word in step_options if word.split("=")[0] in GIVEN_BY_US), "")
    if ours:
        raise ConfigurationError(f"after --: {ours} is not to be given; it follows from the Job")
    parser = StepOptions(prog=step, add_help=False, allow_abbrev=False)
    parameters = import_module(f"components.{step}.step").Parameters
    command.add_options(parser, parameters)
    given = parser.parse_args([*step_options, "--root", launch.root, "--split", launch.split, "--group", "0/1"])
    try:
        command.parameters_from(parameters, given)
    except ConfigurationError as error:
        raise ConfigurationError(f"after --: {error}") from None
