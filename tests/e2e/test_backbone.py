"""Whole trainings of fecnet on a given backbone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from components.train.step import Parameters, run
from fec import layout
from tests.components.train.conftest import SIZE, write_root
from tests.watching import content, found


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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_where_fine_tuning_begins_it_ends_in_the_same_bytes(tmp_path: Path, backend: str) -> None:
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    source.save_weights(tmp_path / "w.weights.h5")

    def begun(root: Path) -> subprocess.Popen[str]:
        options = f"--run x --model fecnet --image-size {SIZE} --backbone MobileNetV2 --freeze-until all --steps 4"
        options += f" --fine-tune-steps 4 --fine-tune-from block_12_add --checkpoint-every 1 --backend {backend}"
        command = [sys.executable, "-m", "components.train", "--root", str(root), *options.split(), "--batch-size", "2"]
        command += ["--backbone-weights", str(tmp_path / "w.weights.h5")]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for root in (whole, killed):
        write_root(str(root), 12)
    assert "fine-tuning begins after step 4" in begun(whole).communicate()[1]
    first = begun(killed)
    while first.poll() is None and not any(
        json.loads(content(path) or b'{"step": 0}')["step"] >= 4 for path in found(killed, ".work/**/state.json")
    ):
        time.sleep(0.005)
    first.kill()
    first.communicate()
    assert not (killed / layout.model_dir("x") / layout.DONE).exists()
    second = begun(killed)
    said = second.communicate()[1]
    assert second.returncode == 0, said[-3000:]
    assert "training goes on after step" in said
    for name in ("model.keras", "history.json"):
        ours, theirs = (root / layout.model_dir("x") / name for root in (killed, whole))
        assert ours.read_bytes() == theirs.read_bytes(), name
    network = keras.saving.load_model(whole / layout.model_dir("x") / "model.keras").get_layer("backbone")
    changed = [
        layer.name
        for layer, other in zip(network.layers, source.layers, strict=True)
        if not all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
    ]
    assert changed[0] == "block_13_expand"
    assert not any("BN" in name or "bn" in name for name in changed)
