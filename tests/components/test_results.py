"""A change of what a step makes is a change of its VERSION, or nobody's finished work would be made again.

``make record-results`` records what the steps make now, of each step whose VERSION was raised.
"""

import json
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.options import parameters_of
from fec.storage import open_storage
from tests.components.results import INPUTS, RESULTS, digest, downloaded, made_root, report_page, train_numbers

RECORDED = Path(__file__).with_name("results.json")
RECORD = bool(os.environ.get("FEC_RECORD_RESULTS"))


def recorded() -> dict[str, dict[str, Any]]:
    return dict(json.loads(RECORDED.read_text())) if RECORDED.exists() else {}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made_root(tmp_path_factory.mktemp("results"))


def held(step: str, inputs: str, results: Any, same: Callable[[Any, Any], bool] = operator.eq) -> None:
    """Record the step's results where its version or inputs are others than recorded, or hold them to what is."""
    version = parameters_of(step).version
    known = recorded().get(step, {})
    if RECORD and (known.get("version"), known.get("inputs")) != (version, inputs):
        found = {"version": version, "inputs": inputs, "results": results}
        RECORDED.write_text(json.dumps(recorded() | {step: found}, indent=1, sort_keys=True) + "\n")
        return
    assert known.get("version") == version, f"VERSION of {step} is {version}: run make record-results"
    assert known["inputs"] == inputs, f"what {step} works on has changed: run make record-results"
    assert same(known["results"], results), (
        f"{step} makes something else of the same input than before. If that is meant, raise VERSION in "
        f"components/{step}/parameters.py, so that what is finished is made again, and run make record-results; if it "
        "is not, find what changed it"
    )


def near(recorded: list[float], found: list[float]) -> bool:
    return len(recorded) == len(found) and np.allclose(recorded, found, rtol=1e-3, atol=1e-3)


def test_other_originals_come_with_another_version(tmp_path: Path) -> None:
    held("download", "", digest(downloaded(tmp_path)))


def test_other_training_comes_with_another_version() -> None:
    held("train", "", train_numbers(), near)


def test_another_report_comes_with_another_version() -> None:
    held("evaluate", "", digest(report_page()))


@pytest.mark.parametrize("step", RESULTS)
def test_other_results_come_with_another_version(step: str, root: str) -> None:
    storage = open_storage(root)
    inputs = digest([RESULTS[name](storage) for name in INPUTS[step]])
    held(step, inputs, digest(RESULTS[step](storage)))
