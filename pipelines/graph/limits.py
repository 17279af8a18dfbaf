"""Whether a compiled pipeline stays within what the engine can hold, however many groups its loops have.

What is counted follows the backend of Kubeflow Pipelines 2.17 (kubeflow/pipelines at 7b70c7b95f) and Argo 4.0.8: a
driver pod for the run, for every loop and iteration, and a driver and an executor for every task. Argo keeps the state
of a run in one object, gzipped and in base64, beside the workflow's spec, which is not. What a pod adds to it was
measured on the real engine (the table in tests/pipelines/graph/test_limits.py): a part that every pod has, and what its
nodes carry of the compiled file, which differs from pipeline to pipeline.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fec.errors import ConfigurationError
from fec.layout import MAX_RECORD_GROUPS
from pipelines.graph.compiled import read_platform, read_spec

# Of an object in Kubernetes' store, about; Argo's own limit for a workflow is the same.
MAX_WORKFLOW_BYTES: Final = 1 << 20
# Of one argument of a process on Linux (MAX_ARG_STRLEN).
MAX_ARGUMENT_BYTES: Final = 128 << 10
# Of the workflow's spec for a byte of the compiled pipeline, as JSON: 109,600 for 48,944.
SPEC_BYTES: Final = 2.24
# What a patch of a pod's spec has beside the component and the container: launcher, inputs, volumes.
PATCH_BYTES: Final = 2_120
# Of the pods, how many may be there once more because an attempt failed.
FAILED_ATTEMPTS: Final = 0.1
# The component whose groups are of record shards, of which there are few (fec.layout).
_RECORDS: Final = "comp-collect"


@dataclass(frozen=True)
class Installation:
    """How an installation of the engine keeps a pod.

    ``json_copies`` nodes hold a task's component, task and container, ``patch_copies`` the patch of its pod; every pod
    has ``pod_bytes`` beside. ``compression``: stored bytes of a raw one.
    """

    name: str
    json_copies: int
    patch_copies: int
    pod_bytes: int
    compression: float


# As 2.17's own manifests make it: a retry strategy in templateDefaults, which gives every node a second one.
STOCK: Final = Installation("stock", json_copies=2, patch_copies=4, pod_bytes=8_540, compression=0.0839)
PLAIN: Final = Installation(
    "without templateDefaults", json_copies=1, patch_copies=3, pod_bytes=4_736, compression=0.1075
)


@dataclass(frozen=True)
class Pods:
    """The pods of a run: how many, and what they carry of the compiled file in all, once.

    ``json_bytes`` of components, tasks and containers in the drivers, ``patch_bytes`` of pod-spec patches.
    """

    number: int = 0
    json_bytes: int = 0
    patch_bytes: int = 0

    def __add__(self, other: Pods) -> Pods:
        return Pods(
            self.number + other.number,
            self.json_bytes + other.json_bytes,
            self.patch_bytes + other.patch_bytes,
        )

    def __mul__(self, times: int) -> Pods:
        return Pods(self.number * times, self.json_bytes * times, self.patch_bytes * times)

    def state_bytes(self, installation: Installation) -> int:
        """What they add to the run's object when they have ended."""
        raw = (
            self.number * installation.pod_bytes
            + self.json_bytes * installation.json_copies
            + self.patch_bytes * installation.patch_copies
        )
        return round(raw * installation.compression)


@dataclass(frozen=True)
class Load:
    """What a run asks of the engine at most.

    ``file_bytes``: the compiled file. ``pods``: in all. ``parallelism``: iterations of one loop at a time.
    ``argument_bytes``: the longest argument of a pod. ``spec_bytes`` and ``state_bytes``: the run's object;
    ``workflow_bytes`` is both, with room for attempts that fail.
    """

    file_bytes: int
    pods: int
    parallelism: int
    argument_bytes: int
    spec_bytes: int
    state_bytes: int

    @property
    def workflow_bytes(self) -> int:
        return self.spec_bytes + round(self.state_bytes * (1 + FAILED_ATTEMPTS))


def load(package: Path, groups: int, installation: Installation = STOCK) -> Load:
    """The load of the pipeline compiled into ``package`` when its loops over shards have ``groups`` iterations in all.

    Loops that run over the groups of one step share them, as the two splits do.
    """
    spec, platform = read_spec(package), read_platform(package)
    components, executors = spec["components"], spec["deploymentSpec"]["executors"]
    counted = _Counted(components, executors, platform, _loops(spec), groups)
    pods = counted.dag(spec["root"]) + Pods(1, _escaped(spec["root"]))
    tasks = [task for component in (spec["root"], *components.values()) for task in _tasks(component).values()]
    arguments = (spec["root"], *components.values(), *executors.values(), *tasks)
    return Load(
        file_bytes=package.stat().st_size,
        pods=pods.number,
        parallelism=max((task.get("iteratorPolicy", {}).get("parallelismLimit", 0) for task in tasks), default=0),
        argument_bytes=max(len(_json(argument)) for argument in arguments),
        spec_bytes=round(SPEC_BYTES * (len(_json(spec)) + len(_json(platform)))),
        state_bytes=pods.state_bytes(installation),
    )


def check(package: Path, groups: int, installation: Installation = STOCK) -> Load:
    """The load, if the engine can bear it; otherwise ConfigurationError with the reason."""
    found = load(package, groups, installation)
    if found.argument_bytes > MAX_ARGUMENT_BYTES:
        raise ConfigurationError(
            f"{package}: a pod would get an argument of {found.argument_bytes:,} bytes; Linux takes "
            f"{MAX_ARGUMENT_BYTES:,}. A list that is known when compiling does this: give it at run time"
        )
    if found.workflow_bytes > MAX_WORKFLOW_BYTES:
        raise ConfigurationError(
            f"max_groups {groups}: the run would have {found.pods:,} pods, and its state about "
            f"{found.workflow_bytes / MAX_WORKFLOW_BYTES:.1f} MiB; the engine keeps it in one object of 1 MiB. Take at "
            f"most {most(package, groups, installation)}: a group handles several shards"
        )
    return found


def most(package: Path, groups: int, installation: Installation = STOCK) -> int:
    """The largest number of groups below ``groups`` that the engine can bear."""
    fits, too_many = 0, groups
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if load(package, middle, installation).workflow_bytes > MAX_WORKFLOW_BYTES:
            too_many = middle
        else:
            fits = middle
    return fits


@dataclass(frozen=True)
class _Counted:
    """Counts the pods of graphs within one compiled pipeline."""

    components: Mapping[str, Any]
    executors: Mapping[str, Any]
    platform: Mapping[str, Any]
    loops: Mapping[str, int]
    groups: int

    def dag(self, component: Mapping[str, Any]) -> Pods:
        """The pods of all tasks of a component that is a graph."""
        total = Pods()
        tasks = _tasks(component)
        for task in tasks.values():
            inner = self.components[task["componentRef"]["name"]]
            total += self._graph(inner, task, tasks) if "dag" in inner else self._container(inner, task)
        return total

    def _graph(self, inner: Mapping[str, Any], task: Mapping[str, Any], beside: Mapping[str, Any]) -> Pods:
        driver = Pods(1, _escaped(inner) + _escaped(task))
        once = driver + self.dag(inner)
        items = task.get("parameterIterator", {}).get("items")
        return once if items is None else driver + once * self._iterations(items, task, beside)

    def _container(self, inner: Mapping[str, Any], task: Mapping[str, Any]) -> Pods:
        label = inner["executorLabel"]
        component, container = _escaped(inner), _escaped(self.executors[label])
        settings = _escaped(self.platform.get(label, {}))
        return Pods(2, component + _escaped(task) + container + settings, PATCH_BYTES + component + container)

    def _iterations(self, items: Mapping[str, Any], task: Mapping[str, Any], beside: Mapping[str, Any]) -> int:
        """Of a loop: its part of the groups, unless its items are in the compiled file."""
        if "raw" in items:
            return len(json.loads(items["raw"]))
        giver = _giver(task, items, beside)
        if giver == _RECORDS:
            return min(self.groups, MAX_RECORD_GROUPS)
        return -(-self.groups // max(1, self.loops[giver]))


def _loops(spec: Mapping[str, Any]) -> Counter[str]:
    """How many loops run over what a component gives, by the component's name."""
    found = Counter[str]()
    for component in (spec["root"], *spec["components"].values()):
        tasks = _tasks(component)
        for task in tasks.values():
            items = task.get("parameterIterator", {}).get("items", {})
            if "inputParameter" in items:
                found[_giver(task, items, tasks)] += 1
    return found


def _giver(task: Mapping[str, Any], items: Mapping[str, Any], beside: Mapping[str, Any]) -> str:
    """The component that gives a loop its items, "" for the run itself."""
    source = task["inputs"]["parameters"][items["inputParameter"]].get("taskOutputParameter", {})
    producer = beside.get(source.get("producerTask", ""))
    return str(producer["componentRef"]["name"]) if producer else ""


def _tasks(component: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = component.get("dag", {}).get("tasks", {})
    return found


def _escaped(value: Any) -> int:
    """The bytes of ``value`` as JSON within JSON, as a node carries it."""
    return len(json.dumps(_json(value).decode()))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
