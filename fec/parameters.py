"""What can be asked of a step, each thing once: its type, default, limits, help, and whether a result depends on it.

A step's ``Parameters`` (``components/<step>/parameters.py``) is a frozen dataclass of ``parameter(...)`` fields. From
it follow the options of its command, the checks, and what the step fingerprints.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from fec.errors import ConfigurationError
from fec.layout import SPLITS

P = TypeVar("P", bound="Checked")
S = TypeVar("S", bound="StepParameters")

_RULES: Final = "rules"


@dataclass(frozen=True)
class Rules:
    """What holds for the values of a field.

    ``refuse`` says what is wrong with a value that the limits let through, or gives "". ``shapes_result``: whether what
    a step writes depends on the value, so that the step's fingerprint covers it. ``promoted``: whether the pipeline's
    form and ``fec run`` have an option of its own for it; all others travel together as ``options``.
    """

    help: str
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    more_than: float | None = None
    expected: str = ""
    refuse: Callable[[Any], str] | None = None
    shapes_result: bool = True
    promoted: bool = False

    def says(self, value: Any) -> str:
        """What is wrong with ``value``, or "" for one that is as it should be."""
        if self.choices and value not in self.choices:
            near = difflib.get_close_matches(str(value), self.choices, 1)
            return f"expected one of {', '.join(self.choices)}" + (f"; did you mean {near[0]}?" if near else "")
        if isinstance(value, int | float) and not isinstance(value, bool) and not self._within(value):
            return f"expected {self.expected or self._limits()}"
        return self.refuse(value) if self.refuse is not None else ""

    def _within(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.more_than is None or value > self.more_than)
        )

    def _limits(self) -> str:
        low, above, high = self.at_least, self.more_than, self.at_most
        if low is not None and high is not None:
            return f"between {low:,} and {high:,}"
        named = (("at least", low), ("above", above), ("at most", high))
        return " and ".join(f"{words} {limit:,}" for words, limit in named if limit is not None)


def parameter(help: str, *, default: Any = dataclasses.MISSING, repr: bool = True, **rules: Any) -> Any:
    """A dataclass field that is also an option; ``rules`` are the fields of Rules, ``repr`` False hides a secret.

    ``default=dict`` is an empty mapping.
    """
    metadata = {_RULES: Rules(help, **rules)}
    if default is dict:
        return dataclasses.field(default_factory=dict, repr=repr, metadata=metadata)
    return dataclasses.field(default=default, repr=repr, metadata=metadata)


def like(parameters: type[Any], name: str, **changes: Any) -> Any:
    """The field ``name`` of the dataclass ``parameters`` once more, in another one: said there, not again here.

    ``changes`` are what differs: its default, help, or rules.
    """
    field = field_of(parameters, name)
    default = changes.pop("default", field.default)
    rules = dataclasses.replace(rules_of(field), **changes)
    return dataclasses.field(default=default, metadata={_RULES: rules})


def fields(parameters: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a dataclass of parameters."""
    return dataclasses.fields(parameters)


def field_of(parameters: type[Any], name: str) -> dataclasses.Field[Any]:
    """The field ``name``; KeyError if there is none."""
    return {field.name: field for field in dataclasses.fields(parameters)}[name]


def rules_of(field: dataclasses.Field[Any]) -> Rules:
    """What holds for the values of a field made by ``parameter``."""
    return typing.cast(Rules, field.metadata[_RULES])


class WrongValue(ConfigurationError):
    """A parameter's value that its rules refuse."""

    def __init__(self, name: str, value: Any, wrong: str) -> None:
        super().__init__(f"{name} {value!r}: {wrong}")
        self.name, self.value, self.wrong = name, value, wrong


class Checked:
    """A dataclass of parameters that cannot be made with values that its rules refuse."""

    def __post_init__(self) -> None:
        """Raises WrongValue for the first value that is not as its rules want it."""
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if wrong := _of_type(value, hints[field.name]) or rules_of(field).says(value):
                raise WrongValue(field.name, value, wrong)


class StepParameters(Checked):
    """The parameters of a step, named in the class statement with the ``VERSION`` of its results.

    ``class Parameters(StepParameters, step="faces", version=VERSION)``.
    """

    step: ClassVar[str]
    version: ClassVar[int]

    def __init_subclass__(cls, *, step: str, version: int) -> None:
        super().__init_subclass__()
        cls.step, cls.version = step, version

    @property
    def settings(self) -> dict[str, Any]:
        """What the step's fingerprint covers of its parameters, as JSON can carry it: all that shapes a result."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if rules_of(field).shapes_result
        }
        return {"step": self.step, "version": self.version, **values}


# The rules of a seed: a number of 64 bits.
SEEDS: Final[dict[str, Any]] = {"at_least": -(2**63), "at_most": 2**63 - 1, "expected": "a number of 64 bits"}
_FOLDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def refuse_folder_name(name: str) -> str:
    """What is wrong with a run's name, which becomes the name of a folder; "" for a good one."""
    good = _FOLDER.fullmatch(name)
    return "" if good else "expected the name of a folder, of letters, digits, '.', '_' and '-'"


# What every step takes. None of it is in a fingerprint: it says where a result lies, not what it is.
def root() -> Any:
    """Where everything is kept."""
    return parameter(
        "storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX", shapes_result=False, promoted=True
    )


def split() -> Any:
    """Which of the two lists of triplets."""
    return parameter(" or ".join(SPLITS), choices=SPLITS, shapes_result=False, promoted=True)


def group(what: str) -> Any:
    """Which shards of ``what`` a task does."""
    return parameter(f"{what}, as INDEX/COUNT; 0/1 is all of them", default="0/1", shapes_result=False, promoted=True)


def promoted(parameters: type[Any]) -> list[str]:
    """The fields that the pipeline hands a step each as an input of its own; the rest travel as ``options``."""
    return [field.name for field in dataclasses.fields(parameters) if rules_of(field).promoted]


def with_options(parameters: type[S], options: Mapping[str, Mapping[str, Any]], **values: Any) -> S:
    """The step's parameters from its inputs ``values`` and what ``options``, of all steps, say of this one.

    ``options`` is as ``components.options`` checks it: ``{"faces": {"crop_quality": 90}}``.
    """
    return made(parameters, {**options.get(parameters.step, {}), **values})


def converted(parameters: type[Any], name: str, value: Any) -> Any:
    """``value`` (text, or what JSON gives) as the field's type; raises ConfigurationError if it is none."""
    hint = typing.get_type_hints(parameters)[name]
    try:
        return _converted(hint, value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{name} {value!r}: expected {_TYPES[plain_type(hint)]}") from None


def made(parameters: type[P], values: Mapping[str, Any]) -> P:
    """The dataclass from ``values``, each as its field's type; raises ConfigurationError as its checks do."""
    known = [field.name for field in dataclasses.fields(parameters)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ConfigurationError(unknown("option", name, known))
    return parameters(**{name: converted(parameters, name, value) for name, value in values.items()})


def nested(words: typing.Iterable[str]) -> dict[str, dict[str, str]]:
    """Options by step from words such as ``faces.crop_quality=90``; of two on one option the last holds.

    Raises ConfigurationError for a word of another form. What steps and options there are is not known here.
    """
    found: dict[str, dict[str, str]] = {}
    for word in words:
        path, equals, value = word.partition("=")
        step, dot, name = path.partition(".")
        if not (equals and dot and step and name):
            raise ConfigurationError(f"--set {word}: expected STEP.OPTION=VALUE, such as faces.crop_quality=90")
        found.setdefault(step, {})[name.replace("-", "_")] = value
    return found


def unknown(what: str, name: str, known: typing.Iterable[str]) -> str:
    """What to say of a name that is none: the one that was meant, or all there are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"there is no {what} {name!r}; " + (f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}")


_TYPES: Final[Mapping[Any, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
    dict: "an object of options by step",
}


def plain_type(hint: Any) -> Any:
    """The type that a hint stands for: tuple[str, ...] is tuple, ``int | None`` is int."""
    if isinstance(hint, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    return typing.get_origin(hint) or hint


def _of_type(value: Any, hint: Any) -> str:
    plain = plain_type(hint)
    if value is None and isinstance(hint, types.UnionType):
        return ""
    wanted = (int, float) if plain is float else plain
    good = isinstance(value, wanted) and (plain is bool or not isinstance(value, bool))
    return "" if good else f"expected {_TYPES[plain]}"


def _converted(hint: Any, value: Any) -> Any:
    plain = plain_type(hint)
    if hint is Any or (value is None and isinstance(hint, types.UnionType)):
        return value
    if plain is tuple:
        if isinstance(value, str):
            return tuple(part for part in value.split(",") if part)
        return tuple(_converted(typing.get_args(hint)[0], part) for part in value)
    if plain is bool:
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}[str(value).lower()] if str(value).lower() in ("true", "false") else _no()
    if plain is str or plain is dict:
        return value if isinstance(value, plain) else _no()
    if isinstance(value, bool):
        _no()
    if plain is int and isinstance(value, float):  # kfp.local turns the whole numbers of a JSON object into floats
        return int(value) if value.is_integer() else _no()
    return plain(value)


def _no() -> Any:
    raise ValueError
