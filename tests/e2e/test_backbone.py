"""A whole training of fecnet on a given backbone."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from components.train.step import Parameters, run
from fec import layout
from tests.components.train.conftest import SIZE, write_root


@pytest.mark.slow
def test_fecnet_is_trained_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    write_root(str(root), 12)
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    source.save_weights(tmp_path / "w.weights.h5")
    common = {"model": "fecnet", "image_size": SIZE, "backbone": "MobileNetV2", "steps": 1, "batch_size": 2}
    asked = {"backbone_weights": str(tmp_path / "w.weights.h5"), "freeze_until": "all", "held_out": 0.0}
    name = run(Parameters(root=str(root), **common, **asked))  # type: ignore[arg-type]
    folder = root / layout.model_dir(name)
    kept = keras.saving.load_model(folder / "model.keras").get_layer("backbone").get_weights()
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(kept, source.get_weights(), strict=True))
    assert json.loads((folder / "train.json").read_text())["backbone_weights"]
    assert "starts untrained" not in capsys.readouterr().err
