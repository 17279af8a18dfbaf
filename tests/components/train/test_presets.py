"""A preset of keras-hub is a backbone: with its weights and the pixels it wants, or it is refused in one line."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from components.train.backbones import begin_with, features, hold, normalised
from components.train.step import Parameters, run
from components.train.weights import fetched_preset
from fec import layout
from fec.errors import ConfigurationError
from fec.storage import open_storage
from tests.components.train.conftest import SIZE, photographs, write_root


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small residual network and its image converter, as keras-hub stores them."""
    folder = tmp_path_factory.mktemp("presets") / "small"
    keras.utils.set_random_seed(3)
    keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
    ).save_to_preset(str(folder))
    keras_hub.layers.ResNetImageConverter(
        image_size=(SIZE, SIZE), scale=[0.017, 0.0175, 0.018], offset=[-2.1, -2.0, -1.8]
    ).save_to_preset(str(folder))
    return folder


def test_a_face_becomes_what_keras_hub_itself_makes_of_it(preset: Path) -> None:
    face = photographs()[0][None, 60 : 60 + SIZE, 170 : 170 + SIZE].astype(np.float32)
    converter = keras_hub.layers.ImageConverter.from_preset(str(preset))
    expected = keras_hub.models.Backbone.from_preset(str(preset))(converter(face))
    pixels = keras.Input((SIZE, SIZE, 3))
    inside = features(normalised(pixels, str(preset)), str(preset), SIZE, synchronized=False)
    network = keras.Model(pixels, inside)
    begin_with(network, preset)
    assert np.allclose(np.asarray(network(face)), np.asarray(expected), atol=1e-4)
    hold(network, Parameters(root="", backbone=str(preset)), fine_tuning=False)
    trained = {type(layer) for layer in network.get_layer("backbone").layers if layer.trainable}
    assert keras.layers.Conv2D in trained
    assert keras.layers.BatchNormalization not in trained


def test_a_preset_that_does_not_tell_how_it_wants_its_pixels_is_refused(preset: Path, tmp_path: Path) -> None:
    silent = Path(shutil.copytree(preset, tmp_path / "silent"))
    (silent / "image_converter.json").unlink()
    with pytest.raises(ConfigurationError, match="how it wants its pixels: save its image converter"):
        normalised(keras.Input((SIZE, SIZE, 3)), str(silent))


def test_a_preset_that_is_cut_short_is_refused(preset: Path, tmp_path: Path) -> None:
    cut = Path(shutil.copytree(preset, tmp_path / "cut"))
    (cut / "model.weights.h5").write_bytes((preset / "model.weights.h5").read_bytes()[:1000])
    with pytest.raises(ConfigurationError, match="--backbone: the preset of keras-hub cannot be taken"):
        features(keras.Input((SIZE, SIZE, 3)), str(cut), SIZE, synchronized=False)


def test_a_preset_is_known_by_what_is_in_it_and_not_by_where_or_when_it_was_stored(
    preset: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copytree(preset, tmp_path / "elsewhere"))
    (elsewhere / "metadata.json").write_text("{}")
    with fetched_preset(str(preset)) as one, fetched_preset(f"{elsewhere}/") as same:
        assert one.sha256 == same.sha256
        assert {path.name for path in one.path.iterdir()} == {path.name for path in preset.iterdir()}
    (elsewhere / "image_converter.json").write_text("{}")
    with fetched_preset(str(elsewhere)) as other:
        assert one.sha256 != other.sha256


def test_a_preset_in_a_bucket_is_the_same(preset: Path, bucket: str) -> None:
    for file in preset.iterdir():
        open_storage(bucket).write(f"presets/small/{file.name}", file.read_bytes())
    with fetched_preset(str(preset)) as here, fetched_preset(f"{bucket}/presets/small") as there:
        assert here.sha256 == there.sha256
        assert keras_hub.models.Backbone.from_preset(str(there.path)).count_params()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backbone": "/nowhere/x"}, "there is no preset of keras-hub|/nowhere"),
        ({"backbone": "/a/b", "backbone_weights": "w.h5"}, "--backbone-weights: the preset .* has its own weights"),
    ],
)
def test_what_is_no_preset_is_refused_before_data_is_read(
    records_of_600: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(Parameters(root=str(records_of_600), model="fecnet", image_size=SIZE, **options))


def test_without_keras_hub_it_says_what_to_install(
    preset: Path, records_of_600: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "keras_hub" else found(name))
    with pytest.raises(ConfigurationError, match=r"pip install 'fec\[hub\]'"):
        run(Parameters(root=str(records_of_600), model="fecnet", image_size=SIZE, backbone=str(preset)))


@pytest.mark.slow
def test_fecnet_is_trained_on_a_preset_and_stored_without_need_of_keras_hub(preset: Path, tmp_path: Path) -> None:
    write_root(str(tmp_path), 12)
    p = Parameters(
        root=str(tmp_path),
        model="fecnet",
        image_size=SIZE,
        backbone=str(preset),
        freeze_until="all",
        steps=1,
        batch_size=2,
        held_out=0.0,
    )
    folder = tmp_path / layout.model_dir(run(p))
    stored = keras.saving.load_model(folder / "model.keras")
    ours = stored.get_layer("backbone").get_weights()
    theirs = keras_hub.models.Backbone.from_preset(str(preset)).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert "keras_hub" not in json.dumps(stored.get_config(), default=str)
    assert json.loads((folder / "train.json").read_text())["backbone_weights"]
