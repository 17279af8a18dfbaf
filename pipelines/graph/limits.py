"""Whether a compiled pipeline stays within what the engine can hold, however many groups its loops have.

What is counted follows the backend of Kubeflow Pipelines 2.17 (kubeflow/pipelines at 7b70c7b95f): a driver pod for the
run, for every sub-pipeline, loop and iteration, and a driver and an executor for every task; a component, a task or a
container is one argument of a driver. Argo keeps the state of a run in one object; what a pod adds is an estimate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fec.errors import ConfigurationError
from pipelines.graph.compiled import read_spec

# Of an object in Kubernetes' store, about; Argo's own limit for a workflow is the same.
MAX_WORKFLOW_BYTES: Final = 1 << 20
# Of one argument of a process on Linux (MAX_ARG_STRLEN).
MAX_ARGUMENT_BYTES: Final = 128 << 10
# Compressed: 1,000 pods are about 0.23 MiB.
WORKFLOW_BYTES_PER_POD: Final = 241


@dataclass(frozen=True)
class Load:
    """What a run asks of the engine at most.

    ``file_bytes``: the compiled file. ``pods``: in all. ``parallelism``: iterations of one loop at a time.
    ``argument_bytes``: the longest argument of a pod. ``workflow_bytes``: the run's object with its state, estimated.
    """

    file_bytes: int
    pods: int
    parallelism: int
    argument_bytes: int
    workflow_bytes: int


def load(package: Path, groups: int) -> Load:
    """The load of the pipeline compiled into ``package`` when each of its loops has ``groups`` iterations."""
    spec = read_spec(package)
    components, executors = spec["components"], spec["deploymentSpec"]["executors"]
    pods = 1 + _pods(spec["root"], components, groups)
    tasks = [task for component in (spec["root"], *components.values()) for task in _tasks(component)]
    arguments = (spec["root"], *components.values(), *executors.values(), *tasks)
    return Load(
        file_bytes=package.stat().st_size,
        pods=pods,
        parallelism=max((task.get("iteratorPolicy", {}).get("parallelismLimit", 0) for task in tasks), default=0),
        argument_bytes=max(len(_json(argument)) for argument in arguments),
        workflow_bytes=len(_json(spec)) + pods * WORKFLOW_BYTES_PER_POD,
    )


def check(package: Path, groups: int) -> Load:
    """The load, if the engine can bear it; otherwise ConfigurationError with the reason."""
    found = load(package, groups)
    if found.argument_bytes > MAX_ARGUMENT_BYTES:
        raise ConfigurationError(
            f"{package}: a pod would get an argument of {found.argument_bytes:,} bytes; Linux takes "
            f"{MAX_ARGUMENT_BYTES:,}. A list that is known when compiling does this: give it at run time"
        )
    if found.workflow_bytes > MAX_WORKFLOW_BYTES:
        raise ConfigurationError(
            f"max_groups {groups}: the run would have {found.pods:,} pods, and its state about "
            f"{found.workflow_bytes / MAX_WORKFLOW_BYTES:.1f} MiB; the engine keeps it in one object of 1 MiB. Take at "
            f"most {_most(package, groups)}: a group handles several shards"
        )
    return found


def _most(package: Path, groups: int) -> int:
    """The largest number of groups below ``groups`` that the engine can bear."""
    none, one = load(package, 0).workflow_bytes, load(package, 1).workflow_bytes
    return min(groups - 1, max(0, MAX_WORKFLOW_BYTES - none) // max(1, one - none))


def _pods(component: Mapping[str, Any], components: Mapping[str, Any], groups: int) -> int:
    """The pods of all tasks of a component that is a graph."""
    total = 0
    for task in _tasks(component):
        inner = components[task["componentRef"]["name"]]
        if "dag" not in inner:
            total += 2
            continue
        once = 1 + _pods(inner, components, groups)
        items = task.get("parameterIterator", {}).get("items")
        total += once if items is None else 1 + _iterations(items, groups) * once
    return total


def _iterations(items: Mapping[str, Any], groups: int) -> int:
    """Of a loop: ``groups``, unless its items are in the compiled file."""
    return len(json.loads(items["raw"])) if "raw" in items else groups


def _tasks(component: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from component.get("dag", {}).get("tasks", {}).values()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
