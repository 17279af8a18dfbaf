"""The options of all steps as they travel together, by step: ``{"download": {"attempts": 5}, "faces": {...}}``.

What the pipeline's form has no field for goes this way, so that a new option of a step is reachable everywhere at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from fec.errors import ConfigurationError
from fec.parameters import StepParameters, converted, field_of, fields, promoted, rules_of, unknown

# In the order of the pipeline.
STEPS: Final = ("plan", "download", "faces", "collect", "datagen", "train", "evaluate", "summarize")


def parameters_of(step: str) -> type[StepParameters]:
    """The dataclass of what can be asked of a step."""
    found: type[StepParameters] = import_module(f"components.{step}.parameters").Parameters
    return found


def names(step: str) -> list[str]:
    """The options of a step that travel here: all that have no field of their own in the pipeline's form."""
    parameters = parameters_of(step)
    own = promoted(parameters)
    return [field.name for field in fields(parameters) if field.name not in own]


def checked(options: Any) -> dict[str, dict[str, Any]]:
    """``options`` with each value as its field's type and fit for JSON.

    Raises ConfigurationError for a step or an option that there is not, one that has a field of its own, and a value
    that the step would refuse; with the name that was meant where one is near.
    """
    if not isinstance(options, Mapping):
        raise ConfigurationError(f'options {options!r}: expected {{"STEP": {{"OPTION": VALUE}}}}')
    return {step: _checked(step, given) for step, given in options.items()}


def _checked(step: str, given: Any) -> dict[str, Any]:
    if step not in STEPS:
        raise ConfigurationError(f"options: {unknown('step', step, STEPS)}")
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"options of {step} {given!r}: expected an object, option by option")
    parameters, known = parameters_of(step), names(step)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in promoted(parameters):
            raise ConfigurationError(f"options of {step}: {name} is a parameter of the run of its own, give it there")
        if name not in known:
            raise ConfigurationError(f"options of {step}: {unknown('option', name, known)}")
        fits = converted(parameters, name, value)
        if wrong := rules_of(field_of(parameters, name)).says(fits):
            raise ConfigurationError(f"options of {step}: {name} {fits!r}: {wrong}")
        values[name] = list(fits) if isinstance(fits, tuple) else fits
    return values
