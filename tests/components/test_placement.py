"""What is booked for training is what it uses: as the engine hands it on, and as it was compiled."""

from pathlib import Path
from typing import Any

import pytest

from components.placement import booked
from components.train.component import train
from fec.command import engine_inputs


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ({"accelerator_type": "nvidia.com/gpu", "accelerator_count": "8"}, {"device": "gpu", "device_count": 8}),
        ({"accelerator_type": "google.com/tpu", "accelerator_count": "4"}, {"device": "tpu"}),
        ({"accelerator_type": "", "accelerator_count": "0"}, {}),
        ({}, {}),
    ],
)
def test_what_is_booked_is_what_train_is_told_to_use(inputs: dict[str, Any], options: dict[str, Any]) -> None:
    assert booked(inputs) == options


def test_the_engine_says_what_is_booked_beside_the_inputs_of_train() -> None:
    line = ["--executor_input", '{"inputs": {"parameterValues": {"pipelinechannel--accelerator_count": "8"}}}']
    assert engine_inputs(line) == {"accelerator_count": "8"}


def test_train_is_told_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("components.train.step.run", seen.append)
    monkeypatch.setattr("components.train.artifacts.publish_model", lambda *arguments: None)
    given = '{"inputs": {"parameterValues": {"accelerator_count": "2", "accelerator_type": "nvidia.com/gpu"}}}'
    monkeypatch.setattr("sys.argv", ["c.py", "--executor_input", given])
    train.python_func(root=str(tmp_path), triplets=None, trained_model=None, training_metrics=None, options={})
    assert [(asked.device, asked.device_count) for asked in seen] == [("gpu", 2)]
