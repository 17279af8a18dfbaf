"""A step from a shell and from an engine: options from its parameters, errors as one line and an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, TypeVar

from fec import log
from fec.command_line import Parser
from fec.errors import ConfigurationError, FecError
from fec.parameters import StepParameters, WrongValue, nested, plain_type, rules_of, with_options
from fec.progress import event
from fec.task_records import recorded

# What a shell says of a program that Ctrl-C ended.
INTERRUPTED: Final = 130

P = TypeVar("P")
R = TypeVar("R")
S = TypeVar("S", bound=StepParameters)


def parser_for(parameters: type[P], prog: str, description: str) -> argparse.ArgumentParser:
    """A parser with one option a field of the dataclass ``parameters`` (str, int, float, bool, tuple[str, ...])."""
    parser = Parser(prog=prog, description=description)
    add_options(parser, parameters)
    return parser


# What stands for a value in a help text.
_PLACEHOLDERS: Final[Mapping[Any, str]] = {int: "N", float: "NUMBER", str: "TEXT"}


def add_options(
    parser: argparse._ActionsContainer, parameters: type[Any], names: typing.Container[str] | None = None
) -> None:
    """Add one option a field of the dataclass ``parameters`` to ``parser``, or to a group of its options.

    ``names`` are the fields that are wanted, if not all. A field that is a dict holds options by step, given as
    ``--set STEP.OPTION=VALUE``.
    """
    hints = typing.get_type_hints(parameters)
    for field in dataclasses.fields(parameters):
        if names is not None and field.name not in names:
            continue
        flag = _flag(field.name)
        help = rules_of(field).help.replace("%", "%%")
        hint = hints[field.name]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if plain_type(hint) is tuple:
            parser.add_argument(flag, action="append", default=[], metavar="VALUE", help=f"{help} (may be repeated)")
        elif plain_type(hint) is dict:
            metavar = "STEP.OPTION=VALUE"
            parser.add_argument(
                "--set", dest=field.name, action="append", default=[], metavar=metavar, help=f"{help} (may be repeated)"
            )
        elif hint is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=help)
        else:
            shown = "" if required or field.default in ("", None) else f" (default: {field.default})"
            parser.add_argument(
                flag,
                type=plain_type(hint),
                metavar=_placeholder(field.name, plain_type(hint)),
                required=required,
                default=None if required else field.default,
                help=help + shown.replace("%", "%%"),
            )


def _placeholder(name: str, kind: Any) -> str:
    """ROOT for a root, a kind of value for all else."""
    return name.upper() if name in ("root", "split", "group") else _PLACEHOLDERS.get(kind, "VALUE")


def parameters_from(parameters: type[P], options: argparse.Namespace) -> P:
    """The dataclass from parsed options; raises ConfigurationError, with the option's name, for a value it refuses."""
    hints = typing.get_type_hints(parameters)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(parameters):  # type: ignore[arg-type]
        value, plain = getattr(options, field.name), plain_type(hints[field.name])
        values[field.name] = tuple(value) if plain is tuple else nested(value) if plain is dict else value
    try:
        return parameters(**values)
    except WrongValue as error:
        shown = f"{error.value:g}" if isinstance(error.value, float) else error.value
        raise ConfigurationError(f"{_flag(error.name)} {shown}: {error.wrong}") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def main(
    parameters: type[P], run: Callable[[P], Any], prog: str, description: str, argv: Sequence[str] | None = None
) -> None:
    """Run a step as a command: its result as JSON on stdout, a user's mistake as one line and exit code 2."""
    parser = parser_for(parameters, prog, description)
    parser.add_argument(
        "--log-level", choices=log.LEVELS, help=f"least severe lines to log (default: {log.LEVEL}, or else info)"
    )
    options = parser.parse_args(argv)
    if options.log_level:
        os.environ[log.LEVEL] = options.log_level  # for all that the step starts, too
    with reported():
        asked = parameters_from(parameters, options)
        with _recorded(getattr(parameters, "step", prog), vars(asked)):
            result = run(asked)
        print(json.dumps(result))


def performed(
    run: Callable[[S], R],
    parameters: type[S],
    options: Mapping[str, Mapping[str, Any]],
    /,
    *,
    check: Callable[[], Mapping[str, Any]] | None = None,
    publish: Callable[[R], None] | None = None,
    **values: Any,
) -> R:
    """What ``run`` of a step gives as a component of an engine: on record, its errors in one line with an exit code.

    Its parameters are ``values`` and what ``options``, of all steps, say of it. ``check`` comes first of all,
    and gives what is to hold in place of ``values``; ``publish`` gets the result, to show it on the engine's pages.
    """
    with reported(), _recorded(parameters.step, values):
        changed = check() if check is not None else {}
        result = run(with_options(parameters, options, **{**values, **changed}))
        if publish is not None:
            publish(result)
        return result


def engine_inputs(words: Sequence[str] | None = None) -> dict[str, Any]:
    """What an engine gave this task, by name: also the values that place it, which its function does not take.

    Read from the line by which KFP's executor is started (``--executor_input``); empty elsewhere.
    """
    words = sys.argv if words is None else words
    if "--executor_input" not in words[:-1]:
        return {}
    given = json.loads(words[words.index("--executor_input") + 1])
    values: dict[str, Any] = given.get("inputs", {}).get("parameterValues", {})
    return {name.removeprefix("pipelinechannel--"): value for name, value in values.items()}


def _recorded(step: str, values: Mapping[str, Any]) -> AbstractContextManager[None]:
    """A context that keeps the record of a step's task, if it has a root and an engine runs it."""
    if "root" not in values:
        return nullcontext()
    return recorded(str(values["root"]), step, str(values.get("split", "")), str(values.get("group", "")))


@contextmanager
def reported() -> Iterator[None]:
    """Log what the body says (fec.log), and turn an FecError into one line and its exit code, without a traceback."""
    try:
        log.start()
        yield
    except FecError as error:
        event("error", str(error), severity="ERROR", exit_code=error.exit_code)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        said = "interrupted; what was done is kept, and running again goes on from there"
        event("interrupted", said, severity="ERROR", exit_code=INTERRUPTED)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        event("crashed", f"{type(error).__name__}: {error}", severity="ERROR")
        raise
