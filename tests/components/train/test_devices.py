"""What a training runs on: what is asked for is used or refused, and two devices learn what one does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from components.train.backend import take
from components.train.devices import ALONE, Devices, Hosts, devices, hosts_of, refuse_unshared
from components.train.examples import read_examples
from components.train.input_pipeline import Faces, batches
from components.train.models import Shape, tiny
from components.train.parameters import Parameters
from fec import layout
from fec.cores import available_cores
from fec.errors import ConfigurationError
from fec.record_files import record_files
from fec.storage import open_storage
from tests.components.train.conftest import SIZE

CURVE = """
import sys, json
from components.train.backend import take
take(sys.argv[2])
import numpy as np, tensorflow as tf
if sys.argv[1:3] == ["2", "tensorflow"]:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
from components.train.devices import devices
from components.train.choice import choose
from components.train.fitting import compiled
from components.train.input_pipeline import over_devices
from components.train.steps import stepper
from components.train.models import Shape
from components.train.parameters import Parameters
shared = sys.argv[3] == "shared"
asked = dict(batches="shared", faces_per_batch=12) if shared else {}
count, backend = int(sys.argv[1]), sys.argv[2]
p = Parameters(root="", steps=4, batch_size=8, device="cpu", device_count=count, backend=backend, **asked)
on = devices(p)
with on.scope():
    model = compiled(p, choose(p, 100, 100, 16, accelerated=False), Shape(16, synchronized=on.synchronized))
chance = np.random.default_rng(0)
# Keras draws other first weights for JAX of the same seed.
weights = model.network.get_weights()
model.network.set_weights([chance.normal(0, 0.1, w.shape) if w.ndim > 1 else w for w in weights])
faces = chance.uniform(0, 255, (32, 3, 16, 16, 3)).astype(np.float32)
labels = np.tile(np.array([[1, 2, 4, 1, 1]], np.int32), (32, 1))
parts = (faces, labels)
if shared:
    places = np.stack([chance.choice(12, 3, replace=False) for _ in range(32)]).astype(np.int32)
    parts = (faces[:16].reshape(4, 12, 16, 16, 3), places.reshape(4, 8, 3), labels.reshape(4, 8, 5))
batches = tf.data.Dataset.from_tensor_slices(parts)
data = over_devices(lambda _: batches if shared else batches.batch(8), on, shared=shared)
step = stepper(model, p, on)
print(json.dumps([np.asarray(step(*batch)).tolist() for batch in data]))
"""


def curve(count: int, backend: str = "tensorflow", batches: str = "plain") -> list[list[float]]:
    """Loss and accuracy of four steps on ``count`` logical devices."""
    flags = f"--xla_force_host_platform_device_count={count}"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", CURVE, str(count), backend, batches]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def of_one() -> list[list[float]]:
    """The curve of one device."""
    return curve(1)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_does(of_one: list[list[float]], backend: str) -> None:
    two = curve(2, backend)
    assert len(of_one) == 4
    for ours, theirs in zip(of_one, two, strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.slow
def test_two_devices_learn_what_one_does_of_shared_faces() -> None:
    one = curve(1, batches="shared")
    assert len(one) == 4
    for backend in ("tensorflow", "jax"):
        for ours, theirs in zip(one, curve(2, backend, "shared"), strict=True):
            assert ours == pytest.approx(theirs, abs=2e-3), backend


@pytest.mark.parametrize(("file", "what"), [("nvidia0", "1 GPU"), ("accel0", "1 TPU")])
def test_an_accelerator_that_would_stand_idle_is_refused(tmp_path: Path, file: str, what: str) -> None:
    (tmp_path / file).touch()
    with pytest.raises(ConfigurationError, match=f"{what} found and left idle"):
        devices(Parameters(root=""), tmp_path)


@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_an_accelerator_that_is_asked_for_and_not_there_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--device {kind}: asked for, not found: TensorFlow .* sees none"):
        devices(Parameters(root="", device=kind), tmp_path)


def test_fewer_devices_than_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--device-count 8: training sees 1 CPU"):
        devices(Parameters(root="", device_count=8), tmp_path)


@pytest.mark.parametrize(("of_the_user", "threads"), [("", str(max(1, available_cores() - 1))), ("5", "5")])
def test_one_core_is_left_to_the_input_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, of_the_user: str, threads: str
) -> None:
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    if of_the_user:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", of_the_user)
    take("tensorflow")
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == threads


NETWORK = """
from components.train.backend import take
take("tensorflow")
import components.train.work, hashlib, keras
from components.train.devices import devices
from components.train.models import Shape, tiny
from components.train.parameters import Parameters
before = keras.config.image_data_format(), keras.config.floatx()
devices(Parameters(root="", device="cpu"))
keras.utils.set_random_seed(0)
weights = tiny(Shape(16)).get_weights()
print(*before, keras.backend.backend(), hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest())
"""


@pytest.mark.slow
def test_a_keras_json_and_a_backend_of_the_user_s_make_no_other_network(tmp_path: Path) -> None:
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", NETWORK]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    devices(Parameters(root="", device="cpu"))
    keras.utils.set_random_seed(0)
    ours = hashlib.sha256(b"".join(weight.tobytes() for weight in tiny(Shape(16)).get_weights())).hexdigest()
    assert done.stdout.split() == ["channels_first", "float16", "tensorflow", ours]


def told(**task: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": task})}


def test_which_of_several_hosts_this_is_is_told_by_tf_config() -> None:
    assert hosts_of(told(type="chief", index=0)) == (Hosts(3, 0), ("a:1", "b:1", "c:1"))
    assert hosts_of(told(type="worker", index=1))[0] == Hosts(3, 2)
    assert hosts_of({}) == hosts_of({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}) == (ALONE, ())


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": {"worker": ["a:1", "b:1"]}}'])
def test_a_tf_config_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TF_CONFIG .*: expected"):
        hosts_of({"TF_CONFIG": text})


def test_hosts_get_the_parts_of_one_batch_changed_as_in_the_whole(records_of_600: Path) -> None:
    storage = open_storage(str(records_of_600))
    examples = read_examples(storage, record_files(storage, layout.TRAIN))
    faces, order = Faces(examples.jpegs, SIZE), np.arange(12, dtype=np.int32).reshape(2, 6)
    whole, first, second = (
        next(iter(batches(examples, faces, order, "strong", 0, 1, hosts)))
        for hosts in (ALONE, *(Hosts(2, n) for n in (0, 1)))
    )
    for all_of_it, one, other in zip(whole, first, second, strict=True):
        assert np.array_equal(all_of_it, np.concatenate([one, other]))


def test_a_batch_that_hosts_cannot_share_is_refused() -> None:
    on = Devices("cpu", ("a", "b"), 4, None, "tensorflow", Hosts(2, 0))
    with pytest.raises(ConfigurationError, match=r"--batch-size 30: 4 devices .* such as 32"):
        refuse_unshared(Parameters(root=""), on)
