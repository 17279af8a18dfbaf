"""After the frozen part comes a second one that trains more, at its own rate, and goes on where it was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from components.train import models
from components.train.backbones import hold
from components.train.checkpoints import Checkpoints, TrainingState
from components.train.choice import choose
from components.train.fitting import prepare
from components.train.models import Shape, Triplets
from components.train.parameters import Parameters
from components.train.step import run
from fec import layout
from fec.storage import open_storage
from tests.components.train.conftest import SIZE, write_root

WEIGHTS = "backbone.weights.h5"


def small(shape: Shape) -> keras.Model:
    """A network of very few layers with a backbone, two convolutions that are normalised."""
    layers = keras.layers
    inside = hidden = keras.Input((shape.image_size, shape.image_size, 3), name="pixels")
    for name in ("first", "second"):
        hidden = layers.Conv2D(2, 3, strides=4, name=name)(hidden)
        hidden = layers.BatchNormalization(name=f"{name}_normalization", momentum=0.5)(hidden)
    backbone = keras.Model(inside, hidden, name="backbone")
    faces = keras.Input((shape.image_size, shape.image_size, 3), name="faces")
    hidden = layers.GlobalAveragePooling2D(name="pooled")(backbone(faces))
    embedding = layers.UnitNormalization(name="unit")(layers.Dense(16, name="embedding")(hidden))
    return keras.Model(faces, embedding, name="small")


@pytest.fixture
def parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """Of a training of four steps, and four of fine-tuning."""
    monkeypatch.setitem(models.MODELS, "fecnet", small)
    keras.utils.set_random_seed(1)
    small(Shape(SIZE)).get_layer("backbone").save_weights(tmp_path / WEIGHTS)
    write_root(str(tmp_path / "root"), 24)
    return Parameters(
        root=str(tmp_path / "root"),
        model="fecnet",
        image_size=SIZE,
        backbone_weights=str(tmp_path / WEIGHTS),
        freeze_until="all",
        fine_tune_steps=4,
        fine_tune_from="first_normalization",
        steps=4,
        batch_size=4,
        run="fine",
        held_out=0.0,
        checkpoint_every=1,
    )


def trainable(network: keras.Model) -> set[str]:
    return {layer.name for layer in network.get_layer("backbone").layers if layer.trainable and layer.weights}


@pytest.mark.parametrize(
    ("options", "frozen", "tuned"),
    [
        ({"freeze_until": "all"}, set(), {"first", "second"}),
        ({"freeze_until": "first", "fine_tune_from": "first"}, {"second"}, {"second"}),
        ({"freeze_until": "all", "fine_tune_from": "first"}, set(), {"second"}),
        ({}, {"first", "second"}, {"first", "second"}),
    ],
)
def test_normalisation_that_was_given_weights_is_never_trained(
    options: dict[str, Any], frozen: set[str], tuned: set[str]
) -> None:
    network = small(Shape(16))
    p = Parameters(root="", backbone_weights=WEIGHTS, **options)
    hold(network, p, fine_tuning=False)
    assert trainable(network) == frozen
    hold(network, p, fine_tuning=True)
    assert trainable(network) == tuned


def test_normalisation_of_a_backbone_that_starts_untrained_is_trained() -> None:
    network = small(Shape(16))
    hold(network, Parameters(root=""), fine_tuning=False)
    assert trainable(network) == {"first", "first_normalization", "second", "second_normalization"}


def test_fine_tuning_has_a_rate_of_its_own_from_its_first_step_on() -> None:
    triplets = Triplets(small(Shape(16)))
    p = Parameters(root="", freeze_until="all", steps=10, learning_rate=0.1, warmup_steps=5, fine_tune_steps=4)
    chosen = choose(p, 100, 100, 16, accelerated=False)
    assert (chosen.steps, chosen.fine_tune_after) == (14, 10)
    rates = []
    for fine_tuning in (False, True):
        prepare(triplets, p, chosen, fine_tuning=fine_tuning)
        rates.append(float(triplets.optimizer.learning_rate))
    assert rates == [0.0, pytest.approx(0.01)]


def test_a_checkpoint_of_fine_tuning_has_its_optimizer(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    p = Parameters(root="", freeze_until="all", steps=4, fine_tune_steps=4)
    chosen = choose(p, 100, 100, 16, accelerated=False)
    tuned, fresh = (Triplets(small(Shape(16))) for _ in range(2))
    for triplets in (tuned, fresh):
        triplets(np.zeros((1, 3, 16, 16, 3)))
        prepare(triplets, p, chosen, fine_tuning=True)
    tuned.optimizer.iterations.assign(2)
    checkpoints = Checkpoints(storage, "models/x/checkpoint", "f" * 64, tmp_path)
    assert checkpoints.step() == 0
    checkpoints.save(tuned, TrainingState(6))
    assert checkpoints.step() == 6
    assert checkpoints.restore(fresh).step == 6
    assert int(fresh.optimizer.iterations) == 2
    for ours, theirs in zip(fresh.optimizer.variables, tuned.optimizer.variables, strict=True):
        assert np.array_equal(ours, theirs)


class Killed(BaseException):
    """What stands for a kill after a checkpoint."""


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 4, 6])
def test_killed_before_at_or_after_the_beginning_of_fine_tuning_it_ends_in_the_same_bytes(
    parameters: Parameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    folder = Path(parameters.root, layout.model_dir("fine"))
    run(parameters)
    whole = {name: (folder / name).read_bytes() for name in ("model.keras", "history.json")}
    began = small(Shape(SIZE))
    began.get_layer("backbone").load_weights(tmp_path / WEIGHTS)
    ended = keras.saving.load_model(folder / "model.keras")
    changed = {
        layer.name
        for layer, other in zip(began.get_layer("backbone").layers, ended.get_layer("backbone").layers, strict=True)
        if not all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
    }
    assert changed == {"second"}
    (folder / layout.DONE).unlink()
    save = Checkpoints.save

    def save_and_die(self: Checkpoints, model: Any, state: TrainingState) -> None:
        save(self, model, state)
        if state.step == after:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Checkpoints, "save", save_and_die)
        run(parameters)
    run(parameters)
    for name, content in whole.items():
        assert (folder / name).read_bytes() == content, name
    assert json.loads((folder / "train.json").read_text())["chosen"]["fine_tune_after"] == 4
