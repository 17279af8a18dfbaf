"""Training learns, goes on after a kill as if nothing had happened, and is not done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from components.train import models
from components.train.component import train as train_component
from components.train.input_pipeline import batches, decode
from components.train.step import MODELS, Parameters, run
from fec import layout
from fec.errors import ConfigurationError, RunFailed
from fec.records import TripletExample
from tests.components.train.conftest import SIZE


def test_it_learns(learnable: Path) -> None:
    name = run(Parameters(root=str(learnable), steps=150, batch_size=24, learning_rate=2e-3))
    history = json.loads((learnable / layout.model_dir(name) / "history.json").read_text())
    assert history["steps"][-1] == 150
    assert history["triplet_accuracy"][-1] > 0.8


def test_the_stored_model_maps_faces_to_unit_vectors(learnable: Path) -> None:
    name = train_component.python_func(root=str(learnable), steps=10, batch_size=12, run="mine")
    assert name == "mine"
    model = keras.saving.load_model(learnable / layout.model_dir(name) / "model.keras")
    vectors = np.asarray(model(np.random.default_rng(0).uniform(0, 255, (5, SIZE, SIZE, 3)).astype(np.float32)))
    assert vectors.shape == (5, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert list((learnable / layout.model_dir(name) / "logs").iterdir())


def test_the_same_training_gives_the_same_bytes_also_after_a_kill(learnable: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(learnable, other)
    command = [sys.executable, "-m", "components.train", "--steps", "40", "--batch-size", "12", "--checkpoint-every"]
    whole = subprocess.run([*command, "10", "--root", str(learnable)], check=True, capture_output=True, text=True)
    killed = subprocess.Popen([*command, "10", "--root", str(other)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not list((other / ".work").rglob("state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    name = json.loads(whole.stdout)
    assert not (other / layout.model_dir(name) / "model.keras").exists()
    again = subprocess.run([*command, "10", "--root", str(other)], check=True, capture_output=True, text=True)
    assert '"resumed"' in again.stderr
    for file in ("model.keras", "history.json"):
        ours, theirs = (root / layout.model_dir(name) / file for root in (learnable, other))
        assert ours.read_bytes() == theirs.read_bytes(), file
    assert not (other / ".work").exists()


def test_a_finished_training_is_skipped_without_tensorflow(learnable: Path) -> None:
    name = run(Parameters(root=str(learnable), steps=10, batch_size=12))
    before = {path: path.stat().st_mtime_ns for path in learnable.rglob("*") if path.is_file()}
    script = (
        "import sys; from components.train.step import Parameters, run;"
        f"print(run(Parameters(root={str(learnable)!r}, steps=10, batch_size=12)), 'tensorflow' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == [name, "False"]
    assert before == {path: path.stat().st_mtime_ns for path in learnable.rglob("*") if path.is_file()}


def test_a_missing_record_file_is_named(learnable: Path) -> None:
    (learnable / layout.record_file(layout.TRAIN, 1, 2)).unlink()
    with pytest.raises(RunFailed, match="fec_base-train-00001-of-00002"):
        run(Parameters(root=str(learnable)))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("model", "huge", "tiny"), ("steps", 0, "more than 0"), ("run", "../x", "name of a folder")],
)
def test_bad_parameters_are_refused(tmp_path: Path, field: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(Parameters(root=str(tmp_path), **{field: value}))  # type: ignore[arg-type]


def test_every_model_that_is_offered_can_be_built() -> None:
    assert set(models.MODELS) == set(MODELS)
    assert 200_000 < models.tiny(64).count_params() < 400_000


def test_a_batch_holds_as_many_triplets_of_each_type(learnable: Path) -> None:
    files = [learnable / layout.record_file(layout.TRAIN, number, 2) for number in range(2)]
    _, labels = next(iter(batches(files, [1, 2, 3], SIZE, 30, seed=0)))
    assert np.bincount(labels.numpy()[:, 1], minlength=4).tolist() == [0, 10, 10, 10]


def test_later_batches_are_the_same_whether_or_not_the_earlier_ones_were_made(learnable: Path) -> None:
    files = [learnable / layout.record_file(layout.TRAIN, number, 2) for number in range(2)]
    whole = iter(batches(files, [1, 2, 3], SIZE, 6, seed=3))
    third = [next(whole) for _ in range(3)][2]
    resumed = next(iter(batches(files, [1, 2, 3], SIZE, 6, seed=3, first_step=2)))
    assert all(np.array_equal(one.numpy(), other.numpy()) for one, other in zip(third, resumed, strict=True))


def test_pixels_and_channels_arrive_as_they_were() -> None:
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[:, :, 0] = 250
    red[: SIZE // 2, :, 1] = 250  # yellow above, red below
    jpeg = bytes(cv2.imencode(".jpg", red[:, :, ::-1])[1])
    faces, labels = decode(TripletExample((jpeg,) * 3, ("a", "b", "c"), 2, 3, [2]).encode(), SIZE)
    assert labels.numpy().tolist() == [2, 3]
    above, below = faces.numpy()[1, 4, 5], faces.numpy()[1, SIZE - 4, 5]
    assert np.allclose(above, [250, 250, 0], atol=12)
    assert np.allclose(below, [250, 0, 0], atol=12)
