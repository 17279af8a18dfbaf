"""Training learns, goes on after a kill as if nothing had happened, is not done twice, and never ends in rubbish."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from kfp import dsl

from components.train import models
from components.train.backend import versions
from components.train.checkpoints import Checkpoints, TrainingState
from components.train.choice import choose
from components.train.component import train as train_component
from components.train.examples import read_examples
from components.train.fitting import HeldOut, compiled, measured
from components.train.input_pipeline import Faces
from components.train.loss import triplet_accuracy
from components.train.models import Shape, Triplets
from components.train.parameters import MODELS
from components.train.step import Parameters, run
from fec import identity, layout
from fec.errors import ConfigurationError, RunFailed
from fec.history import History
from fec.model_card import ModelCard
from fec.record_files import record_files
from fec.storage import open_storage
from tests.components.train.conftest import SIZE, drawn_triplet, write_root
from tests.watching import found

STEPS = 42


def accuracy_of(model: keras.Model, labels: np.random.Generator | None = None) -> float:
    """Strict accuracy on 300 triplets that no training has seen; ``labels`` says which face is the odd one, instead of
    what is drawn."""
    chance = np.random.default_rng(99)
    faces, odd = zip(*(drawn_triplet(chance) for _ in range(300)), strict=True)
    odd = odd if labels is None else tuple(labels.integers(1, 4, 300))
    vectors = model.predict_on_batch(np.array(faces, np.float32).reshape(-1, SIZE, SIZE, 3)).reshape(-1, 3, 16)
    return float(keras.ops.mean(triplet_accuracy(vectors, np.array(odd))))


def test_it_learns_what_it_was_not_shown_too(learnable: Path) -> None:
    name = run(Parameters(root=str(learnable), steps=100, batch_size=24, learning_rate=2e-3))
    history = json.loads((learnable / layout.model_dir(name) / "history.json").read_text())
    assert history["steps"] == list(range(10, 101, 10))
    model = keras.saving.load_model(learnable / layout.model_dir(name) / "model.keras")
    assert accuracy_of(model) > 0.8


def test_from_shuffled_labels_nothing_is_learned(tmp_path: Path) -> None:
    """A network that has learned nothing puts faces that look alike near each other, which is right in a half of these
    triplets, and in a third of them where nobody knows which face is the odd one."""
    write_root(str(tmp_path), 300, labels=np.random.default_rng(1))
    name = run(Parameters(root=str(tmp_path), steps=60, batch_size=12, learning_rate=2e-3))
    model = keras.saving.load_model(tmp_path / layout.model_dir(name) / "model.keras")
    keras.utils.set_random_seed(0)
    assert accuracy_of(model) < accuracy_of(models.network_of("tiny", Shape(SIZE))) + 0.1
    assert accuracy_of(model, np.random.default_rng(2)) == pytest.approx(1 / 3, abs=0.1)


def test_a_network_that_has_learned_nothing_is_called_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fec.history.LONG_ENOUGH", 4)
    write_root(str(tmp_path), 60, labels=np.random.default_rng(1))
    run(Parameters(root=str(tmp_path), steps=4, batch_size=12, learning_rate=1e-9, margin=1.9, margin_one_class=1.9))
    assert '"nothing_learned"' in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained_once(records_of_600: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the finished run "short", made by the component; not to be written to."""
    folder = tmp_path_factory.mktemp("trained")
    root = Path(shutil.copytree(records_of_600, folder / "root"))
    model, metrics = dsl.Model(uri=str(folder / "model")), dsl.Metrics(uri=str(folder / "metrics"))
    given = train_component.python_func(
        root=str(root),
        triplets=dsl.Dataset(),
        trained_model=model,
        training_metrics=metrics,
        steps=STEPS,
        batch_size=6,
        options={"train": {"run": "short"}},
    )
    assert given == "short"
    assert Path(model.path).read_bytes() == (root / "models/short/model.keras").read_bytes()
    assert model.metadata["kept_at"] == f"{root}/models/short/model.keras"
    assert metrics.metadata["steps"] == STEPS
    assert 0 <= metrics.metadata["triplet_accuracy"] <= 1
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A root with the finished run "short"."""
    return Path(shutil.copytree(trained_once, tmp_path / "trained"))


def short(root: Path, seed: int = 0) -> str:
    """Train the run "short", unless it is there."""
    return run(Parameters(root=str(root), steps=STEPS, batch_size=6, seed=seed, run="short"))


def test_the_stored_model_maps_faces_to_unit_vectors(trained_once: Path) -> None:
    model = keras.saving.load_model(trained_once / layout.model_dir("short") / "model.keras")
    vectors = np.asarray(model(np.random.default_rng(0).uniform(0, 255, (5, SIZE, SIZE, 3)).astype(np.float32)))
    assert vectors.shape == (5, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_model_says_what_it_takes_and_gives(trained_once: Path) -> None:
    [path] = trained_once.glob("models/*/model.json")
    card = ModelCard.parse(path.read_bytes())
    assert (card.run, card.dimension, card.preprocessing.image_size) == (path.parent.name, 16, SIZE)
    assert card.sha256 == hashlib.sha256((path.parent / "model.keras").read_bytes()).hexdigest()
    assert card.trained_on["triplets"] == 600
    assert card.versions == {"tensorflow": tf.__version__, "keras": keras.__version__}


def test_the_versions_are_of_what_the_network_was_trained_with() -> None:
    assert versions("jax") == versions("tensorflow") | {"jax": metadata.version("jax")}


def test_tensorboard_can_read_the_curves(trained_once: Path) -> None:
    (log,) = (trained_once / layout.model_dir("short") / "logs").iterdir()
    values = [
        (value.tag, event.step)
        for event in tf.compat.v1.train.summary_iterator(str(log))
        for value in event.summary.value
    ]
    assert values == [(tag, step) for step in (10, 20, 30, 40, STEPS) for tag in ("loss", "triplet_accuracy", "active")]


@pytest.mark.slow
def test_tensorboard_starts_in_this_environment() -> None:
    """Its command and every plugin of it can be imported: no part of it needs what setuptools no longer has."""
    command = Path(sys.executable).parent / "tensorboard"
    said = subprocess.run([str(command), "--version"], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == metadata.version("tensorboard")


@pytest.mark.slow
def test_a_killed_training_ends_in_the_same_bytes_as_one_that_was_not(trained_once: Path, learnable: Path) -> None:
    command = [sys.executable, "-m", "components.train", "--root", str(learnable), "--run", "short"]
    command += ["--steps", str(STEPS), "--batch-size", "6", "--checkpoint-every", "7"]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not found(learnable, ".work/**/state.json") and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    (state,) = (learnable / ".work").rglob("state.json")
    assert json.loads(state.read_text())["step"] % 7 == 0
    assert not (learnable / layout.model_dir("short")).exists()
    short(learnable)
    for file in ("model.keras", "history.json", layout.DONE):
        whole, resumed = (root / layout.model_dir("short") / file for root in (trained_once, learnable))
        assert whole.read_bytes() == resumed.read_bytes(), file
    assert not (learnable / ".work").exists()


def test_a_checkpoint_that_cannot_be_read_is_left_behind(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = trained / layout.model_dir("short")
    fingerprint = json.loads((directory / layout.DONE).read_text())["fingerprint"]
    about = json.loads((directory / "train.json").read_text())
    chosen = {"training": fingerprint, "chosen": {**about["chosen"], "why": about["why"]}, "precision": "float32"}
    model = (directory / "model.keras").read_bytes()
    shutil.rmtree(directory)
    begun = identity.fingerprint(chosen)
    folder = open_storage(str(trained)).workspace(f"{layout.model_dir('short')}/{begun[:16]}")
    (folder / "2.weights.h5").write_bytes(b"torn")
    (folder / "state.json").write_text(json.dumps({"step": 2, "history": {}, "since": [0.0, 0.0, 0.0]}))
    short(trained)
    assert '"checkpoint_lost"' in capsys.readouterr().err
    assert (directory / "model.keras").read_bytes() == model


def test_no_marker_outlives_the_model_it_was_written_for(trained: Path) -> None:
    directory = trained / layout.model_dir("short")
    (directory / "model.keras").unlink()
    (directory / "model.keras").mkdir()  # in the way of the next one
    with pytest.raises(OSError):
        short(trained, seed=1)
    assert not (directory / layout.DONE).exists()


def test_a_finished_training_is_skipped_without_tensorflow(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}
    script = (
        "import sys; from components.train.step import Parameters, run;"
        f"name = run(Parameters(root={str(trained)!r}, steps={STEPS}, batch_size=6, run='short'));"
        "print(name, 'tensorflow' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["short", "False"]
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}


def test_without_tensorflow_it_says_what_to_install(learnable: Path) -> None:
    script = (
        "import importlib.util as u; found = u.find_spec;"
        "u.find_spec = lambda name, *more: None if name == 'tensorflow' else found(name, *more);"
        "from components.train.step import Parameters, run; from fec.command import main;"
        f"main(Parameters, run, 'train', '', ['--root', {str(learnable)!r}])"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "TensorFlow is not installed: pip install 'fec[train]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_record_file_is_named(learnable: Path) -> None:
    (learnable / layout.record_file(layout.TRAIN, 1, 2)).unlink()
    with pytest.raises(RunFailed, match="fec_base-train-00001-of-00002"):
        run(Parameters(root=str(learnable)))


def test_a_spoiled_record_file_is_named(learnable: Path) -> None:
    path = learnable / layout.record_file(layout.TRAIN, 1, 2)
    spoiled = bytearray(path.read_bytes())
    spoiled[200] ^= 1
    path.write_bytes(bytes(spoiled))
    with pytest.raises(RunFailed, match="fec_base-train-00001-of-00002: the record at byte 0 does not match"):
        short(learnable)


def test_records_of_eval_are_never_trained_on(learnable: Path) -> None:
    write_root(str(learnable), 60, files=1, split=layout.EVAL)
    paths = record_files(open_storage(str(learnable)), layout.TRAIN).paths
    assert paths == tuple(f"records/fec_base-train-{number:05d}-of-00002" for number in range(2))


def test_a_loss_that_overflows_ends_the_training(learnable: Path) -> None:
    with pytest.raises(RunFailed, match="lower --learning-rate than 1e"):
        run(Parameters(root=str(learnable), steps=20, batch_size=6, learning_rate=1e30))
    assert not (learnable / "models").exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model", "huge", "tiny"),
        ("steps", -1, "at least 0"),
        ("augmentation", "wild", "none, light, strong"),
        ("learning_rate", float("nan"), "at least 0"),
        ("seed", 2**64, "64 bits"),
        ("run", "../x", "name of a folder"),
    ],
)
def test_bad_parameters_are_refused(tmp_path: Path, field: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(Parameters(root=str(tmp_path), **{field: value}))  # type: ignore[arg-type]


def test_every_model_that_is_offered_can_be_built() -> None:
    assert set(models.MODELS) == set(MODELS)
    assert 200_000 < models.tiny(Shape(64)).count_params() < 400_000
    for size, side in ((32, 2), (48, 3), (49, 2), (64, 2), (96, 3), (112, 2), (192, 3)):
        assert models.tiny(Shape(size)).get_layer("block6_relu").output.shape[1:3] == (side, side)
    assert 3_000_000 < models.base(Shape(112)).count_params() < 10_000_000


def test_a_mirrored_network_takes_a_face_for_its_mirror_image_and_is_stored_as_the_same_bytes(tmp_path: Path) -> None:
    write_root(str(tmp_path), 12)
    stored = []
    for name in ("first", "second"):
        run(Parameters(root=str(tmp_path), steps=2, batch_size=6, mirrored=True, run=name))
        stored.append((tmp_path / layout.model_dir(name) / "model.keras").read_bytes())
    assert stored[0] == stored[1]
    model = keras.saving.load_model(tmp_path / layout.model_dir("first") / "model.keras")
    plain = model.get_layer("tiny")
    faces = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    mirror_images = faces[:, :, ::-1]
    assert np.allclose(model(faces), model(mirror_images), atol=1e-5)
    between = np.asarray(plain(faces)) + np.asarray(plain(mirror_images))
    assert np.allclose(model(faces), between / np.linalg.norm(between, axis=1, keepdims=True), atol=1e-5)


def test_in_bfloat16_what_goes_in_what_comes_out_and_what_is_kept_is_float32(tmp_path: Path) -> None:
    half = models.network_of("tiny", Shape(16, precision="bfloat16"))
    assert half.get_layer("block3_convolution").compute_dtype == "bfloat16"
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    whole = models.network_of("tiny", Shape(16))
    whole.set_weights(half.get_weights())
    inside = keras.Model(half.input, half.get_layer("standardized").output)
    away = pixels - pixels.mean((1, 2, 3), keepdims=True)
    expected = away / np.sqrt(away.var((1, 2, 3), keepdims=True) + models.FAINT**2)
    assert np.allclose(np.asarray(inside(pixels)), expected, atol=1e-5)
    assert half(pixels).dtype == tf.float32
    assert {weight.dtype for weight in half.weights} == {"float32"}
    assert np.allclose(np.asarray(half(pixels)), np.asarray(whole(pixels)), atol=0.05)
    write_root(str(tmp_path), 12)
    name = run(Parameters(root=str(tmp_path), steps=2, batch_size=6, precision="bfloat16"))
    stored = keras.saving.load_model(tmp_path / layout.model_dir(name) / "model.keras")
    assert {layer.compute_dtype for layer in stored.layers} == {"float32"}


def test_a_triplet_short_of_its_margin_is_active(trained_once: Path) -> None:
    history = json.loads((trained_once / layout.model_dir("short") / "history.json").read_text())
    assert len(history["active"]) == len(history["steps"])
    for wrong, active in zip((1 - a for a in history["triplet_accuracy"]), history["active"], strict=True):
        assert wrong <= active + 1e-6 <= 1 + 1e-5


def test_a_collapsed_network_is_measured_as_right_in_nothing_and_as_a_point(records_of_600: Path) -> None:
    storage = open_storage(str(records_of_600))
    examples = read_examples(storage, record_files(storage, layout.TRAIN))
    held_out = HeldOut(examples.faces[:40], examples.labels[:40])

    def collapsed(faces: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.ones((len(faces), 16))

    assert measured(collapsed, Faces(examples.jpegs, SIZE), held_out) == (0.0, 0.0)


def test_a_bucket_gets_the_model_and_keeps_no_checkpoint(bucket: str) -> None:
    write_root(bucket, 60)
    name = run(Parameters(root=bucket, steps=6, batch_size=6, checkpoint_every=2))
    names = {entry.path.removeprefix(f"models/{name}/") for entry in open_storage(bucket).list("models")}
    assert {name for name in names if not name.startswith("logs/")} == {
        "_DONE.json",
        "history.json",
        "model.json",
        "model.keras",
        "train.json",
    }


def fresh_model(seed: int) -> Triplets:
    """A network that has learned nothing."""
    p = Parameters(root="", steps=10, seed=seed)
    return compiled(p, choose(p, 100, 100, 16, accelerated=False), Shape(SIZE))


def test_another_machine_goes_on_from_the_checkpoint_in_the_bucket(bucket: str, tmp_path: Path) -> None:
    storage = open_storage(bucket)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    trained = fresh_model(seed=1)
    for step in (4, 8):
        state = TrainingState(step, History([4], [0.3], [0.5], [0.9], [4], [0.4]), (0.25, 0.5, 0.9))
        Checkpoints(storage, "models/x/checkpoint", "f" * 64, here).save(trained, state)
    fresh = fresh_model(seed=2)
    assert Checkpoints(storage, "models/x/checkpoint", "f" * 64, there).restore(fresh) == state
    for ours, theirs in zip(trained.get_weights(), fresh.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert sorted(path.name for path in there.glob("*.h5")) == ["8.weights.h5", "best.weights.h5"]


def test_a_checkpoint_of_other_parameters_is_not_gone_on_from(bucket: str, tmp_path: Path) -> None:
    storage = open_storage(bucket)
    model = fresh_model(seed=1)
    Checkpoints(storage, "models/x/checkpoint", "f" * 64, tmp_path).save(model, TrainingState(4))
    (tmp_path / "other").mkdir()
    other = Checkpoints(storage, "models/x/checkpoint", "0" * 64, tmp_path / "other")
    assert other.restore(model) == TrainingState()
