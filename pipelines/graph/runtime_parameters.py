"""The parameters a compiled pipeline takes at run time, checked before anything is sent."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fec.errors import ConfigurationError

# Of one value; the backend's default (MAX_PARAMETER_BYTES).
MAX_BYTES: Final = 10_000


@dataclass(frozen=True)
class RuntimeParameter:
    """A parameter of a compiled pipeline: its KFP type, such as NUMBER_INTEGER, and its default if it has one."""

    name: str
    kind: str
    required: bool
    default: Any = None


def declared(spec: Mapping[str, Any]) -> dict[str, RuntimeParameter]:
    """The parameters of a compiled pipeline (pipelines.graph.compiled.read_spec), by name."""
    return {
        name: RuntimeParameter(
            name=name,
            kind=value["parameterType"],
            required=not (value.get("isOptional", False) or "defaultValue" in value),
            default=value.get("defaultValue"),
        )
        for name, value in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items()
    }


def parse(words: Iterable[str], parameters: Mapping[str, RuntimeParameter]) -> dict[str, Any]:
    """Values by name from ``name=value`` words, each of its parameter's type.

    Lists and structs are JSON. Raises ConfigurationError for an unknown name, a value of another type or too long, a
    name given twice, and a parameter that is required and missing.
    """
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigurationError(f"{word!r}: expected NAME=VALUE, such as max_shards=1")
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, 1)
            known = f"did you mean {near[0]}?" if near else f"it has {', '.join(parameters)}"
            raise ConfigurationError(f"the pipeline has no parameter {name!r}; {known}")
        if name in given:
            raise ConfigurationError(f"{name} is given twice")
        if len(text.encode()) > MAX_BYTES:
            raise ConfigurationError(
                f"{name}: {len(text.encode()):,} bytes; Kubeflow takes at most {MAX_BYTES:,} for one parameter"
            )
        given[name] = _value(parameters[name], text)
    missing = [name for name, parameter in parameters.items() if parameter.required and name not in given]
    if missing:
        raise ConfigurationError(f"missing: {' '.join(f'{name}=…' for name in missing)}")
    return given


def _value(parameter: RuntimeParameter, text: str) -> Any:
    expected, read = _READ[parameter.kind]
    try:
        return read(text)
    except ValueError:
        raise ConfigurationError(f"{parameter.name}={text}: expected {expected}") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _list(text: str) -> list[Any]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError(text)
    return value


def _struct(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


_READ: Final[Mapping[str, tuple[str, Any]]] = {
    "STRING": ("text", str),
    "NUMBER_INTEGER": ("a whole number", int),
    "NUMBER_DOUBLE": ("a number", _finite),
    "BOOLEAN": ("true or false", _boolean),
    "LIST": ('a JSON list, such as ["a", "b"]', _list),
    "STRUCT": ('a JSON object, such as {"a": "b"}', _struct),
}
