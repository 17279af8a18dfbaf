"""Benchmarks are run by their path, as the pages say, by the Python that has the project installed and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
WITH_OPTIONS = sorted(file.name for file in FOLDER.glob("*.py") if "ArgumentParser(" in file.read_text())
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "likeness.py" else pytest.mark.slow) for name in WITH_OPTIONS]
)
def test_a_benchmark_that_is_run_by_its_path_says_what_it_takes(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / name), "--help"]
    ended = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout[:6]) == (0, "usage:"), ended.stderr
