"""Says once what a compiled pipeline says twice.

KFP writes every component of a sub-pipeline again for each use of the sub-pipeline (``exec-plan``, ``exec-plan-2``).
The second use can as well refer to the first one's definition, which keeps the file small however often it is used.
"""

from __future__ import annotations

from typing import Any


def share(pipeline: Any) -> Any:
    """Merge equal executors, then equal components, of a KFP pipeline in place; returns it.

    Executors that the platform treats differently are not equal.
    """
    spec = pipeline.pipeline_spec
    executors = spec.deployment_spec["executors"]
    platform: dict[str, Any] = {}
    if "kubernetes" in pipeline.platform_spec.platforms:
        platform = pipeline.platform_spec.platforms["kubernetes"].deployment_spec.executors
    first_of: dict[Any, str] = {}
    for name in sorted(executors.keys(), key=_order):
        settings = platform[name].SerializeToString(deterministic=True) if name in platform else b""
        first = first_of.setdefault((executors[name].SerializeToString(deterministic=True), settings), name)
        if first != name:
            for component in spec.components.values():
                if component.executor_label == name:
                    component.executor_label = first
            del executors.fields[name]
            if settings:
                del platform[name]
    while _merged_a_component(spec):
        pass
    return pipeline


def _merged_a_component(spec: Any) -> bool:
    """Merge the components that are equal now; whether there were any, which may have made others equal."""
    first_of: dict[bytes, str] = {}
    twins: dict[str, str] = {}
    for name in sorted(spec.components, key=_order):
        first = first_of.setdefault(spec.components[name].SerializeToString(deterministic=True), name)
        if first != name:
            twins[name] = first
    for name in twins:
        del spec.components[name]
    for component in [spec.root, *spec.components.values()]:
        for task in component.dag.tasks.values():
            task.component_ref.name = twins.get(task.component_ref.name, task.component_ref.name)
    return bool(twins)


def _order(name: str) -> tuple[int, str]:
    """Shorter names first: ``exec-plan`` before ``exec-plan-2``."""
    return len(name), name
