"""What the backend's drivers make of a compiled pipeline and a run's parameters: the pods, with what each is given.

After backend/src/v2/driver (resolve.go, container.go, k8s.go) of kubeflow/pipelines: an input is looked up in what its
graph was given, by name; an image, CPU and memory are placeholders of the task's own inputs, which must be text; a node
selector and tolerations are looked up in what the graph around the task was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")
# What the tasks that deal out groups give here.
GROUPS: Final = ("0/2", "1/2")


class DriverFailed(Exception):
    """What a driver would end with."""


@dataclass(frozen=True)
class Pod:
    """An executor: its component, the name that is shown, its inputs, and where it runs."""

    component: str
    shown: str
    inputs: Mapping[str, Any]
    image: str
    resources: Mapping[str, str]
    node_selector: Mapping[str, str]
    tolerations: list[Any]


@dataclass(frozen=True)
class Drivers:
    """The drivers of one compiled pipeline."""

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]

    def pods(self, parameters: Mapping[str, Any]) -> list[Pod]:
        """All executors of a run with these ``parameters``, the exit handler last; DriverFailed where one cannot be."""
        defined = self.spec["root"]["inputDefinitions"]["parameters"]
        given = {name: value["defaultValue"] for name, value in defined.items() if "defaultValue" in value}
        found = list(self._dag(self.spec["root"]["dag"], {**given, **parameters}))
        return sorted(found, key=lambda pod: pod.component == "comp-summarize")

    def _dag(self, dag: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Pod]:
        for key, task in dag["tasks"].items():
            component = self.spec["components"][task["componentRef"]["name"]]
            inputs = {
                name: self._resolved(key, source, dag, given)
                for name, source in task.get("inputs", {}).get("parameters", {}).items()
            }
            self._check(key, task, component, inputs)
            if "dag" not in component:
                yield self._pod(task, component, inputs, given)
            elif "parameterIterator" in task:
                iterator = task["parameterIterator"]
                items = inputs.pop(iterator["items"]["inputParameter"])
                for item in items:
                    yield from self._dag(component["dag"], {**inputs, iterator["itemInput"]: item})
            else:
                yield from self._dag(component["dag"], inputs)

    def _resolved(self, key: str, source: Mapping[str, Any], dag: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            if name not in given:
                raise DriverFailed(f"{key}: parent DAG does not have input parameter {name}")
            return given[name]
        if "taskOutputParameter" in source:
            producer = source["taskOutputParameter"]["producerTask"]
            if producer not in dag["tasks"]:
                raise DriverFailed(f"{key}: producer task, {producer}, not in tasks")
            component = self.spec["components"][dag["tasks"][producer]["componentRef"]["name"]]
            kind = component["outputDefinitions"]["parameters"]["Output"]["parameterType"]
            return list(GROUPS) if kind == "LIST" else f"output of {producer}"
        if "taskFinalStatus" in source:
            return {"state": "COMPLETE", "pipelineJobResourceName": "fec-x7k2p"}
        return source["runtimeValue"]["constant"]

    def _check(
        self, key: str, task: Mapping[str, Any], component: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> None:
        item = task.get("parameterIterator", {}).get("itemInput")
        for name, definition in component.get("inputDefinitions", {}).get("parameters", {}).items():
            if name not in inputs and name != item and not definition.get("isOptional"):
                raise DriverFailed(f"{key}: neither value nor default value provided for non-optional parameter {name}")

    def _pod(
        self, task: Mapping[str, Any], component: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, Any]
    ) -> Pod:
        label = component["executorLabel"]
        container = self.spec["deploymentSpec"]["executors"][label]["container"]
        settings = self.platform.get(label, {})
        resources = container.get("resources", {})
        resources = {**resources, **resources.get("accelerator", {})}
        resources.pop("accelerator", None)
        selector = settings.get("nodeSelector", {}).get("nodeSelectorJson", {}).get("componentInputParameter")
        tolerations = [one["tolerationJson"]["componentInputParameter"] for one in settings.get("tolerations", ())]
        return Pod(
            component=task["componentRef"]["name"],
            shown=task["taskInfo"]["name"],
            inputs=inputs,
            image=_filled_in(container["image"], inputs),
            resources={name: _filled_in(value, inputs) for name, value in resources.items()},
            node_selector=given[selector] if selector else {},
            tolerations=[toleration for name in tolerations for toleration in given[name]],
        )


def _filled_in(text: str, inputs: Mapping[str, Any]) -> str:
    match = _PLACEHOLDER.fullmatch(text)
    if match is None:
        return text
    if match[1] not in inputs:
        raise DriverFailed(f"executorInput did not contain container Image input parameter {match[1]}")
    value = inputs[match[1]]
    return value if isinstance(value, str) else ""  # GetStringValue of another kind
