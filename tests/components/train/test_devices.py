"""What a training runs on: what is asked for is used or refused, and two devices learn what one does."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from components.train.devices import devices
from components.train.fitting import told_to_end
from components.train.models import Shape, tiny
from fec.errors import ConfigurationError

CURVE = """
import sys, json, numpy as np, tensorflow as tf
if sys.argv[1] == "2":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
from components.train.devices import devices
from components.train.choice import choose
from components.train.fitting import compiled, stepper
from components.train.models import Shape
from components.train.parameters import Parameters
on = devices("cpu", int(sys.argv[1]))
p = Parameters(root="", steps=4, batch_size=8)
with on.strategy.scope():
    model = compiled(p, choose(p, 100, 100, 16, accelerated=False), Shape(16, synchronized=on.replicas > 1))
chance = np.random.default_rng(0)
faces = chance.uniform(0, 255, (32, 3, 16, 16, 3)).astype(np.float32)
labels = np.tile(np.array([[1, 2, 4, 1, 1]], np.int32), (32, 1))
data = on.strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((faces, labels)).batch(8))
step = stepper(model, p, on.strategy)
print(json.dumps([step(*batch).numpy().tolist() for batch in data]))
"""


def curve(count: int) -> list[list[float]]:
    """Loss and accuracy of four steps on ``count`` logical devices."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CURVE, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return list(json.loads(done.stdout))


def test_two_devices_learn_what_one_does() -> None:
    one, two = curve(1), curve(2)
    assert len(one) == 4
    for ours, theirs in zip(one, two, strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize(("file", "what"), [("nvidia0", "1 GPU"), ("accel0", "1 TPU")])
def test_an_accelerator_that_would_stand_idle_is_refused(tmp_path: Path, file: str, what: str) -> None:
    (tmp_path / file).touch()
    with pytest.raises(ConfigurationError, match=f"{what} would stand idle"):
        devices("auto", 0, tmp_path)


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_an_accelerator_that_is_asked_for_and_not_there_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--device {kind}: TensorFlow .* sees none here"):
        devices(kind, 0, tmp_path)


def test_fewer_devices_than_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--device-count 8: TensorFlow sees 1 CPU"):
        devices("auto", 8, tmp_path)


NETWORK = """
import components.train.work, hashlib, keras
from components.train.devices import devices
from components.train.models import Shape, tiny
before = keras.config.image_data_format(), keras.config.floatx()
devices("cpu", 1)
keras.utils.set_random_seed(0)
weights = tiny(Shape(16)).get_weights()
print(*before, keras.backend.backend(), hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest())
"""


def test_a_keras_json_and_a_backend_of_the_user_s_make_no_other_network(tmp_path: Path) -> None:
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", NETWORK]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    devices("cpu", 1)
    keras.utils.set_random_seed(0)
    ours = hashlib.sha256(b"".join(weight.tobytes() for weight in tiny(Shape(16)).get_weights())).hexdigest()
    assert done.stdout.split() == ["channels_first", "float16", "tensorflow", ours]


def test_being_told_to_end_is_heard_and_then_forgotten() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with told_to_end() as told:
        assert not told.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert told.is_set()
    assert signal.getsignal(signal.SIGTERM) == before
