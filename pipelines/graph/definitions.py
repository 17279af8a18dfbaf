"""Says once what a compiled pipeline says twice, and leaves out what nobody reads.

KFP writes a component again for each use of it (``exec-plan``, ``exec-plan-2``). The second use can as well refer to
the first one's definition, which keeps the file small, and with it every node of the engine that carries a part of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format

# What KFP puts before the name of a value that it brings into a graph.
CHANNEL: Final = "pipelinechannel--"
_SPACES: Final = re.compile(" {2,}")
# Names of the shell line that starts a component, which every task carries several times.
_SHORTER: Final = {"ephemeral_component.py": "c.py", "program_path": "p", " > ": ">"}


def deduplicate(pipeline: Any) -> Any:
    """Merge equal executors, then equal components, of a KFP pipeline in place; returns it.

    Executors that the platform treats differently are not equal.
    """
    spec = pipeline.pipeline_spec
    executors = spec.deployment_spec["executors"]
    graphs = [spec.root, *spec.components.values()]
    for name, component in spec.components.items():
        if component.executor_label:
            uses = [task for graph in graphs for task in graph.dag.tasks.values() if task.component_ref.name == name]
            _leave_out_what_the_form_says(component, uses)
            command = executors[component.executor_label]["container"]["command"]
            command[-2] = _shorter(command[-2])
            needed = any(value.HasField("default_value") for value in component.input_definitions.parameters.values())
            command[-1] = _without_comments(command[-1], defaults=needed)
            _leave_out_what_is_said_twice(executors[component.executor_label]["container"])
    for graph in graphs:
        _leave_out_carriers(graph, spec.components)
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


def shorten_channels(pipeline: Any) -> Any:
    """Call a parameter of the pipeline by its name in every graph, without KFP's prefix, in place; returns it.

    As in a graph that says what it takes: each iteration carries the names of all it is given. In a container's
    placeholders, and for a loop's items, the prefix stays, since parts of the backend and the local runner look for it.
    """
    spec = pipeline.pipeline_spec
    short = {CHANNEL + name: name for name in spec.root.input_definitions.parameters}
    graphs = {name for name, component in spec.components.items() if component.HasField("dag")}
    for name in graphs:
        _rename(spec.components[name].input_definitions.parameters, short)
    for graph in (spec.root, *(spec.components[name] for name in graphs)):
        for task in graph.dag.tasks.values():
            for value in task.inputs.parameters.values():
                if value.component_input_parameter in short:
                    value.component_input_parameter = short[value.component_input_parameter]
            if task.component_ref.name in graphs:
                _rename(task.inputs.parameters, short)
    for platform in pipeline.platform_spec.platforms.values():
        settings = _with_names(json_format.MessageToDict(platform), short)
        platform.Clear()
        json_format.ParseDict(settings, platform)
    return pipeline


def described(about: str, parameters: Mapping[str, str], returns: str) -> str:
    """A docstring as KFP reads it: what a pipeline does, each parameter's description by name, what it gives."""
    lines = [f"    {name}: {help[:1].upper()}{help[1:]}." for name, help in parameters.items()]
    return "\n".join([about, "", "Args:", *lines, "", "Returns:", f"    {returns}", ""])


def require(pipeline: Any, names: Iterable[str]) -> None:
    """Take the defaults of these parameters from a KFP pipeline's form, in place: they are then to be given."""
    for name in names:
        definition = pipeline.pipeline_spec.root.input_definitions.parameters[name]
        definition.ClearField("default_value")
        definition.is_optional = False


def _rename(named: Any, names: Mapping[str, str]) -> None:
    for name in [name for name in named if name in names]:
        named[names[name]].CopyFrom(named[name])
        del named[name]


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    """JSON with each text that is in ``names`` exchanged."""
    if isinstance(value, dict):
        return {key: _with_names(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_names(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def _leave_out_what_the_form_says(component: Any, uses: Iterable[Any]) -> None:
    """Descriptions of a component's inputs and outputs; that inputs may be missing which each of its ``uses`` gives.

    Every task carries its component in several places of the engine's state, and the form shows the pipeline's.
    """
    for definitions in (component.input_definitions, component.output_definitions):
        for described in (*definitions.parameters.values(), *definitions.artifacts.values()):
            described.description = ""
    given = [set(task.inputs.parameters) for task in uses]
    for name, definition in component.input_definitions.parameters.items():
        if all(name in names for names in given):
            definition.ClearField("default_value")
            definition.is_optional = False


def _leave_out_what_is_said_twice(container: Any) -> None:
    """Requests as floats, which KFP writes beside those that the backend goes by."""
    if "resources" in container:
        for name in ("cpuRequest", "memoryRequest"):
            container["resources"].fields.pop(name, None)


def _leave_out_carriers(component: Any, components: Any) -> None:
    """Inputs that the compiler gives a task to bring in the parameter of a resource or an image.

    The backend reads the parameter (``pipelinechannel--...``), which is an input of its own.
    """
    for task in component.dag.tasks.values():
        known = components[task.component_ref.name].input_definitions.parameters
        for name, value in list(task.inputs.parameters.items()):
            if name not in known and value.runtime_value.constant.string_value.startswith("{{$.inputs.parameters["):
                del task.inputs.parameters[name]


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


def _shorter(shell: str) -> str:
    """The shell line that writes a component's source to a file and runs it, in fewer bytes."""
    shell = ";".join(filter(None, _SPACES.sub(" ", shell).split("\n")))
    for long, short in _SHORTER.items():
        shell = shell.replace(long, short)
    return shell


def _without_comments(source: str, *, defaults: bool) -> str:
    """Python that does the same, without docstrings and in few lines; without ``defaults`` if every input is given."""
    module = ast.parse(source)
    # Our components say dsl.Output, and nothing of kfp itself.
    module.body = [node for node in module.body if ast.unparse(node) not in ("import kfp", "from kfp.dsl import *")]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and not defaults:
            node.args.defaults = []
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(module)


def _order(name: str) -> tuple[int, str]:
    """Shorter names first: ``exec-plan`` before ``exec-plan-2``."""
    return len(name), name
