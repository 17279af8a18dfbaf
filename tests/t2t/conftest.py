"""Tensor2Tensor's interpreter, and roots with what the main route made of real photographs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.collect import step as collect
from components.datagen import step as datagen
from components.download import step as download
from components.faces import step as faces
from components.plan import step as plan
from fec.layout import SPLITS
from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve

PYTHON = os.environ.get("FEC_T2T_PYTHON", "")
PROJECT = Path(__file__).parents[2]
PRESETS = ("fec_base", "fec_tiny")
CHANCE = 1 / 3
TIMEOUT = 800

needs_t2t = pytest.mark.skipif(not PYTHON, reason="FEC_T2T_PYTHON names no interpreter with Tensor2Tensor")


def environment(**more: str) -> dict[str, str]:
    """That of a process of Tensor2Tensor, with this checkout."""
    return {**os.environ, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2", **more}


def t2t(*arguments: str) -> str:
    """Run ``python -m pipelines.t2t`` in Tensor2Tensor's environment; gives all it said."""
    done = subprocess.run(
        [PYTHON, "-m", "pipelines.t2t", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def task(component: Any, arguments: Mapping[str, Any], folder: Path) -> tuple[list[str], Path]:
    """The command Kubeflow runs a component with, and the file that holds its results afterwards."""
    name = component.component_spec.name.replace("-", "_")
    output = folder / "executor_output.json"
    artifacts = {
        name: [{"name": name, "type": {"schemaTitle": spec.type.partition("@")[0]}, "uri": str(folder / name)}]
        for name, spec in component.component_spec.outputs.items()
        if spec.type.startswith("system.")
    }
    executor_input = {
        "inputs": {"parameterValues": dict(arguments)},
        "outputs": {
            "parameters": {"Output": {"outputFile": str(folder / "unused")}},
            "artifacts": {name: {"artifacts": made} for name, made in artifacts.items()},
            "outputFile": str(output),
        },
    }
    container = component.component_spec.implementation.container
    given = [json.dumps(executor_input) if part == "{{$}}" else part for part in container.args]
    assert given[-1] == name
    return [*container.command, *given], output


def as_kubeflow_does(component: Any, arguments: Mapping[str, Any], folder: Path, **more: str) -> tuple[str, str]:
    """Run a component as Kubeflow does in the image: what it gives, and all it said."""
    folder.mkdir()
    command, output = task(component, arguments, folder)
    path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env=environment(PATH=path, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return str(json.loads(output.read_text())["parameterValues"]["Output"]), done.stdout


@pytest.fixture(scope="session")
def verified_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with verified crops of real photographs, and no records yet."""
    folder = tmp_path_factory.mktemp("t2t")
    root = str(folder / "root")
    with serve(scenario(portraits=40, train_triplets=200, eval_triplets=200)) as site:
        for split, csv in site.write_csvs(folder / "csv").items():
            plan.run(plan.Parameters(root=root, split=split, annotations=str(csv), num_shards=2))
            download.run(
                download.Parameters(
                    root=root,
                    split=split,
                    group="0/1",
                    allow_network=("127.0.0.0/8",),
                    requests_per_second=1000.0,
                )
            )
            faces.run(faces.Parameters(root=root, split=split, group="0/1"))
    return Path(root)


@pytest.fixture(scope="session")
def main_root(verified_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the records of both presets, made by the main route."""
    root = tmp_path_factory.mktemp("main") / "root"
    shutil.copytree(verified_root, root)
    for split in SPLITS:
        collect.run(collect.Parameters(root=str(root), split=split))
        for preset in PRESETS:
            datagen.run(datagen.Parameters(root=str(root), split=split, group="0/1", preset=preset))
    return root


def record_bytes(folder: Path, preset: str) -> dict[str, bytes]:
    """The record files of ``preset`` in ``folder`` by name."""
    return {file.name: file.read_bytes() for file in folder.glob(f"{preset}-*")}
