"""A recipe: options of the steps in a TOML or JSON file, ``{step: {option: value}}``, that a run begins from."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.form import RunParameters
from components.options import STEPS, parameters_of
from fec.errors import ConfigurationError
from fec.parameters import converted, fields, promoted, unknown

# Where the run's form has another name for a parameter of a step.
_FORM: Final = {("train", "steps"): "train_steps"}


class Recipe(argparse.Action):
    """``--config FILE``: what the file says is the default of what follows on the command line."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, value: Any, option: str | None = None) -> None:
        try:
            given = read(Path(value))
        except ConfigurationError as error:
            parser.error(str(error))
        changed = [field.name for field in fields(RunParameters) if _given(parser, namespace, field.name)]
        if changed:
            parser.error(f"{option} {value}: give it before --{changed[0].replace('_', '-')}, which counts more")
        words: list[str] = []
        for (step, name), content in given.items():
            if name in promoted(parameters_of(step)):
                setattr(namespace, _FORM.get((step, name), name), content)
            else:
                text = ",".join(map(str, content)) if isinstance(content, tuple) else str(content)
                words.append(f"{step}.{name}={text}")
        namespace.options = words


def read(path: Path) -> dict[tuple[str, str], Any]:
    """The values of a recipe by step and option, each as its field's type.

    Raises ConfigurationError, naming the file, for one that is not there or says what no step can be asked for.
    """
    try:
        content = path.read_bytes()
        table = json.loads(content) if path.suffix == ".json" else tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigurationError(f"--config {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"--config {path}: {error}") from None
    if not isinstance(table, Mapping) or not all(isinstance(of_step, Mapping) for of_step in table.values()):
        raise ConfigurationError(f"--config {path}: expected options by step, a table a step")
    form = {field.name for field in fields(RunParameters)}
    values: dict[tuple[str, str], Any] = {}
    for step, of_step in table.items():
        if step not in STEPS:
            raise ConfigurationError(f"--config {path}: {unknown('step', step, STEPS)}")
        parameters = parameters_of(step)
        # What differs between runs, and not between recipes, is said on the command line.
        known = [
            field.name
            for field in fields(parameters)
            if field.name not in promoted(parameters) or _FORM.get((step, field.name), field.name) in form - {"root"}
        ]
        for name, value in of_step.items():
            if name not in known:
                raise ConfigurationError(f"--config {path}: {step}: {unknown('option', name, known)}")
            try:
                values[step, name] = converted(parameters, name, value)
            except ConfigurationError as error:
                raise ConfigurationError(f"--config {path}: {step}: {error}") from None
    return values


def _given(parser: Any, namespace: argparse.Namespace, name: str) -> bool:
    if name in ("train_csv", "eval_csv", "root"):
        return False
    return bool(getattr(namespace, name) != parser.get_default(name))
