"""What every step promises: one signature for the shell, for Python and for KFP, and a start that costs nothing."""

import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler, dsl
from kfp.pipeline_spec import pipeline_spec_pb2

from fec.parameters import rules_of

ROOT = Path(__file__).parents[2]
STEPS = ("plan", "download", "faces", "collect", "datagen", "train", "evaluate", "summarize")
# The engine tells the exit handler in one argument what else are options.
EXIT_HANDLER = "summarize"
HEAVY = {"tensorflow", "keras", "cv2", "pyarrow", "numpy", "uvloop", "google", "boto3", "kfp", "kubernetes", "PIL"}


def component(step: str) -> Any:
    return getattr(import_module(f"components.{step}.component"), step)


def parameters(step: str) -> type[Any]:
    return typing.cast(type[Any], import_module(f"components.{step}.step").Parameters)


def as_kfp(hint: Any) -> Any:
    """A type as KFP can pass it: a list where Python has a tuple."""
    origin = typing.get_origin(hint)
    return list[str] if origin in (tuple, list) else dict[str, Any] if origin is dict else hint


def step_signature(step: str) -> dict[str, tuple[Any, Any]]:
    """Type and default of every field of Parameters that the pipeline hands on by itself, in order, and the options."""
    hints = typing.get_type_hints(parameters(step))
    signature: dict[str, tuple[Any, Any]] = {}
    for field in dataclasses.fields(parameters(step)):
        if not rules_of(field).promoted:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING:
            default = inspect.Parameter.empty
        signature[field.name] = (as_kfp(hints[field.name]), list(default) if isinstance(default, tuple) else default)
    return signature | {"options": (dict[str, Any], {})}


def component_signature(step: str) -> dict[str, tuple[Any, Any]]:
    """Type and default of every input of the component that is no artifact, in order."""
    function = component(step).python_func
    hints = typing.get_type_hints(function)
    return {
        name: (as_kfp(hints[name]), argument.default)
        for name, argument in inspect.signature(function).parameters.items()
        if not (isinstance(hints[name], type) and issubclass(hints[name], dsl.Artifact))
    }


@pytest.mark.parametrize("step", [step for step in STEPS if step != EXIT_HANDLER])
def test_component_and_step_take_the_same(step: str) -> None:
    assert component_signature(step) == step_signature(step)


@pytest.mark.parametrize("step", STEPS)
def test_every_input_is_described(step: str) -> None:
    described = {name: spec.description for name, spec in component(step).component_spec.inputs.items()}
    assert [name for name, text in described.items() if not text] == []


@pytest.mark.parametrize("step", STEPS)
def test_every_field_has_help(step: str) -> None:
    assert [field.name for field in dataclasses.fields(parameters(step)) if not rules_of(field).help] == []


@pytest.mark.parametrize("step", STEPS)
def test_the_component_compiles_by_itself(step: str, tmp_path: Path) -> None:
    compiler.Compiler().compile(component(step), str(tmp_path / "component.yaml"))
    document = next(yaml.safe_load_all((tmp_path / "component.yaml").read_text()))
    spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    executor = dict(spec.deployment_spec["executors"])[f"exec-{step}"]["container"]
    assert re.fullmatch("fec-(data|train):latest", executor["image"])
    assert "pip install" not in str(executor["command"])


@pytest.mark.parametrize("step", STEPS)
def test_help_imports_nothing_heavy(step: str) -> None:
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['components.{step}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('components.{step}', run_name='__main__')\n"
        "except SystemExit as exit:\n"
        "    assert exit.code == 0\n"
        "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True, cwd=ROOT
    )
    help_text, _, imported = done.stdout.rpartition("IMPORTED ")
    assert set(imported.split()) & HEAVY == set()
    for field in dataclasses.fields(parameters(step)):
        assert "--" + field.name.replace("_", "-") in help_text


@pytest.mark.parametrize("step", STEPS)
def test_readme_names_every_option(step: str) -> None:
    readme = (ROOT / "components" / step / "README.md").read_text()
    names = [field.name for field in dataclasses.fields(parameters(step))]
    missing = [name for name in names if name not in readme and name.replace("_", "-") not in readme]
    assert missing == []


@pytest.mark.parametrize("step", STEPS)
def test_a_missing_option_is_one_line_and_exit_code_2(step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"components.{step}"], capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert "--root" in done.stderr
    assert "Traceback" not in done.stderr
