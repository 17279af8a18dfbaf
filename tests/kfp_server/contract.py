"""Holds requests and answers against the Swagger 2.0 definition of the Kubeflow Pipelines API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema

SWAGGER: Final = Path(__file__).with_name("kfp_api_v2beta1.swagger.json")
# The numbers of the operations in filter.proto; protocol buffers' JSON takes a name or its number.
OPERATIONS: Final = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}
FORMATS = jsonschema.FormatChecker()


class Refused(Exception):
    """A request that the definition does not allow; the message says which part."""


def _is_int64(value: object) -> bool:
    """Protocol buffers write 64-bit integers as strings."""
    return not isinstance(value, str) or re.fullmatch(r"-?\d{1,19}", value) is not None


def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


def _is_date_time(value: object) -> bool:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    return not isinstance(value, str) or re.fullmatch(pattern, value) is not None


FORMATS.checks("int64")(_is_int64)
FORMATS.checks("int32")(_is_int32)
FORMATS.checks("date-time")(_is_date_time)


@dataclass(frozen=True)
class Request:
    """A request as it came: ``query`` has every value of every name; ``body`` is parsed JSON or None."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    content_type: str
    body: Any = None
    fields: tuple[str, ...] = ()


class Contract:
    """The definition, ready to be asked."""

    def __init__(self, path: Path = SWAGGER) -> None:
        swagger = json.loads(path.read_text())
        self._definitions = {name: _strict(schema) for name, schema in swagger["definitions"].items()}
        # A path that is spelt out comes before one with a parameter in the same place.
        paths = sorted(swagger["paths"].items(), key=lambda item: item[0].count("{"))
        self._paths = [(_expression(template), methods) for template, methods in paths]

    def check(self, request: Request) -> dict[str, Any]:
        """The operation that ``request`` calls; raises Refused where it breaks the definition."""
        operation = self._operation(request)
        declared: dict[str, list[dict[str, Any]]] = {}
        for parameter in operation.get("parameters", []):
            declared.setdefault(parameter["in"], []).append(parameter)
        self._check_query(request, declared.get("query", []))
        self._check_body(request, declared.get("body", []))
        self._check_form(request, declared.get("formData", []))
        return operation

    def check_answer(self, operation: Mapping[str, Any], answer: Any) -> None:
        """Raises Refused if ``answer`` is not what a successful ``operation`` gives."""
        self._validate("answer", operation["responses"]["200"]["schema"], answer)

    def parse_filter(self, text: str) -> list[dict[str, Any]]:
        """The predicates of a filter in JSON, their keys in snake case and operations by name."""
        try:
            value = _snake(json.loads(text))
        except ValueError as error:
            raise Refused(f"filter is not JSON: {error}") from None
        predicates = value.get("predicates", []) if isinstance(value, dict) else []
        for predicate in predicates:
            predicate["operation"] = OPERATIONS.get(predicate.get("operation"), predicate.get("operation"))
        self._validate("filter", {"$ref": "#/definitions/v2beta1Filter"}, value)
        return list(predicates)

    def _operation(self, request: Request) -> dict[str, Any]:
        for expression, methods in self._paths:
            if expression.fullmatch(request.path) and request.method.lower() in methods:
                return dict(methods[request.method.lower()])
        raise Refused(f"{request.method} {request.path} is not in the API")

    def _check_query(self, request: Request, declared: list[dict[str, Any]]) -> None:
        known = {parameter["name"]: parameter for parameter in declared}
        for name, values in request.query.items():
            if name not in known:
                raise Refused(f"query parameter {name!r} is not in {request.method} {request.path}")
            if len(values) > 1:
                raise Refused(f"query parameter {name!r} is given {len(values)} times")
            self._check_query_value(name, known[name], values[0])
        for name, parameter in known.items():
            if parameter.get("required") and name not in request.query:
                raise Refused(f"query parameter {name!r} is missing")

    def _check_query_value(self, name: str, parameter: Mapping[str, Any], text: str) -> None:
        kind = parameter["type"]
        if kind == "integer" and not re.fullmatch(r"-?\d+", text):
            raise Refused(f"query parameter {name!r}: {text!r} is not an integer")
        if kind == "boolean" and text not in ("true", "false"):
            raise Refused(f"query parameter {name!r}: {text!r} is not a boolean")
        if name == "filter" and text:
            self.parse_filter(text)

    def _check_body(self, request: Request, declared: list[dict[str, Any]]) -> None:
        if not declared:
            if request.body is not None:
                raise Refused(f"{request.method} {request.path} takes no JSON body")
            return
        if not request.content_type.startswith("application/json"):
            raise Refused(f"Content-Type {request.content_type!r}: expected application/json")
        self._validate("body", declared[0]["schema"], request.body)

    def _check_form(self, request: Request, declared: list[dict[str, Any]]) -> None:
        names = {parameter["name"] for parameter in declared}
        if declared and not request.content_type.startswith("multipart/form-data"):
            raise Refused(f"Content-Type {request.content_type!r}: expected multipart/form-data")
        if set(request.fields) != names:
            raise Refused(f"form fields {sorted(request.fields)}: expected {sorted(names)}")

    def _validate(self, what: str, schema: Mapping[str, Any], value: Any) -> None:
        whole = {**_strict(schema), "definitions": self._definitions}
        validator = jsonschema.Draft4Validator(whole, format_checker=FORMATS)
        for error in validator.iter_errors(value):
            place = "/".join(map(str, error.absolute_path))
            raise Refused(f"{what} {place or '(whole)'}: {error.message}")


def _strict(schema: Any) -> Any:
    """The schema with unknown fields refused wherever fields are listed."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        strict.setdefault("additionalProperties", False)
    return strict


def _expression(template: str) -> re.Pattern[str]:
    """A template as an expression; a parameter is one part of a path and holds no colon, which starts a verb."""
    return re.compile("".join(_part(part) for part in re.split(r"(\{[^}]+\})", template)))


def _part(part: str) -> str:
    return "[^/:]+" if part.startswith("{") else re.escape(part)


def _snake(value: Any) -> Any:
    """Keys in snake case: protocol buffers' JSON takes ``stringValue`` and ``string_value`` alike."""
    if isinstance(value, list):
        return [_snake(item) for item in value]
    if isinstance(value, dict):
        return {re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), key): _snake(item) for key, item in value.items()}
    return value
