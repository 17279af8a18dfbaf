"""What a row's fields are, read from its dataclass; and a row as JSON can carry it, for a journal."""

from __future__ import annotations

import base64
import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from fec.rows import LATER, NULLABLE

T = TypeVar("T")


@dataclass(frozen=True)
class Column:
    """A field: its type in Python (of each item, where there are several), what a table keeps of it if that is less,
    whether there are ``several`` (a list), whether it may be null, and whether it came ``later``, so that older tables
    lack it."""

    name: str
    type: Any
    kept_as: str | None
    several: bool
    nullable: bool
    later: bool


def columns(row: Any) -> tuple[Column, ...]:
    """The fields of a row's dataclass, in order."""
    return _columns(row)


@cache
def _columns(row: Any) -> tuple[Column, ...]:
    hints = get_type_hints(row, include_extras=True)
    return tuple(_column(field.name, hints[field.name]) for field in dataclasses.fields(row))


def names(row: Any) -> list[str]:
    """The names of a row's columns, in order."""
    return [column.name for column in columns(row)]


def from_values(row: type[T], values: Mapping[str, Any]) -> T:
    """The row whose fields a table or a journal gave as ``values``."""
    known: Any = row
    convert = _conversions(known)
    return row(**{name: convert[name](value) if name in convert else value for name, value in values.items()})


def to_json(row: Any) -> dict[str, Any]:
    """The row as JSON can carry it; ``from_values`` reads it back."""
    kind: Any = type(row)
    values = {name: getattr(row, name) for name in _names(kind)}
    for name, convert in _to_json(kind):
        values[name] = convert(values[name])
    return values


def values_of(rows: Sequence[Mapping[str, Any]], column: Column) -> list[Any]:
    """What the column holds of ``rows`` as ``to_json`` gave them; of rows of before it was there nothing."""
    values = [row.get(column.name) for row in rows]
    convert = _CONVERSIONS.get(column.type)
    return values if convert is None else [convert(value) for value in values]


def _column(name: str, hint: Any) -> Column:
    nullable = several = later = False
    kept_as = None
    while (origin := get_origin(hint)) in (Annotated, Union, types.UnionType, Sequence):
        if origin is Annotated:
            hint, *marks = get_args(hint)
            nullable = nullable or NULLABLE in marks
            later = later or LATER in marks
            kept_as = next((mark for mark in marks if mark not in (NULLABLE, LATER)), kept_as)
        elif origin is Sequence:
            several, (hint,) = True, get_args(hint)
        else:
            nullable, (hint, *_) = True, get_args(hint)
    return Column(name, origin or hint, kept_as, several, nullable, later)


@cache
def _names(row: Any) -> tuple[str, ...]:
    return tuple(names(row))


@cache
def _to_json(row: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """What JSON cannot carry as it is, and what makes it that."""
    return tuple((column.name, _JSON[column.type]) for column in columns(row) if column.type in _JSON)


@cache
def _conversions(row: Any) -> dict[str, Callable[[Any], Any]]:
    """What makes a field of what a table or a journal gives, where that is not the same."""
    found: dict[str, Callable[[Any], Any]] = {}
    for column in columns(row):
        if isinstance(column.type, type) and issubclass(column.type, StrEnum):
            found[column.name] = column.type
        elif column.type in _CONVERSIONS:
            found[column.name] = _CONVERSIONS[column.type]
    return found


_JSON: Final[Mapping[Any, Callable[[Any], Any]]] = {
    datetime: lambda value: value if value is None else value.isoformat(),
    bytes: lambda value: value if value is None else base64.b64encode(value).decode(),
    Mapping: dict,
}
_CONVERSIONS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    datetime: lambda value: datetime.fromisoformat(value) if isinstance(value, str) else value,
    bytes: lambda value: base64.b64decode(value) if isinstance(value, str) else value,
    Mapping: lambda value: dict(value or {}),
}
