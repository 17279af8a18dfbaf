"""How many pods of a run follow one upon the other: what a run takes on an engine however little there is to do.

A driver for the run and for every graph within it, two for a loop (its own and an iteration's), and a driver and an
executor for a task. The controller looks at a run every ten seconds (Argo's DEFAULT_REQUEUE_TIME), so each takes that
long at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

from pipelines.graph.compiled import read_spec

# Seen on the real engine: 8.5 minutes for a chain of 38 pods that had little to do.
SECONDS_A_POD: Final = 13


def longest_chain(package: Path) -> int:
    """The number of pods on the longest way through the pipeline compiled into ``package``, its summary included."""
    spec = read_spec(package)
    return 1 + _through(spec["root"], spec["components"])


def _through(graph: Mapping[str, Any], components: Mapping[str, Any]) -> int:
    tasks = graph["dag"]["tasks"]
    before = {name: _before(task) & set(tasks) for name, task in tasks.items()}
    length: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        length[name] = _pods(tasks[name], components) + max((length[other] for other in before[name]), default=0)
    return max(length.values())


def _pods(task: Mapping[str, Any], components: Mapping[str, Any]) -> int:
    """The pods of a task that follow one upon the other."""
    component = components[task["componentRef"]["name"]]
    if "dag" not in component:
        return 2
    drivers = 2 if "parameterIterator" in task or "artifactIterator" in task else 1
    return drivers + _through(component, components)


def _before(task: Mapping[str, Any]) -> set[str]:
    """The tasks that a task waits for: those it names, and those whose outputs it takes."""
    inputs = task.get("inputs", {})
    sources = (
        *(value.get("taskOutputParameter", {}) for value in inputs.get("parameters", {}).values()),
        *(value.get("taskOutputArtifact", {}) for value in inputs.get("artifacts", {}).values()),
    )
    return {*task.get("dependentTasks", ()), *(found["producerTask"] for found in sources if found)}
