"""A backbone sees the pixels it was made for, begins with the weights it is given, and is frozen as far as asked."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from components.train.backbone_names import FARTHER, NORMALISATIONS
from components.train.backbones import begin_with, check_layers, hold, normalised
from components.train.models import Shape, fecnet
from components.train.parameters import IMAGE_SIZES
from components.train.step import Parameters, run
from fec.errors import ConfigurationError
from tests.components.train.conftest import SIZE, photographs

SMALL = Shape(SIZE, backbone="MobileNetV2")


def picture(size: int = SIZE) -> np.ndarray:
    """A piece of a photograph, float32 0..255 RGB [1, size, size, 3], whose channels differ."""
    return photographs()[0][None, 60 : 60 + size, 170 : 170 + size].astype(np.float32)


def test_every_network_of_keras_is_known() -> None:
    offered = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert offered == set(NORMALISATIONS)


@pytest.mark.parametrize("backbone", sorted(name for name, way in NORMALISATIONS.items() if way != FARTHER))
def test_pixels_are_what_keras_itself_makes_of_them(backbone: str) -> None:
    module = importlib.import_module(inspect.getmodule(getattr(keras.applications, backbone)).__name__)  # type: ignore[union-attr]
    expected = module.preprocess_input(picture().copy())
    assert np.allclose(np.asarray(normalised(picture(), backbone)), expected, atol=1e-3)


def test_an_efficientnet_sees_what_the_one_does_whose_weights_keras_downloads() -> None:
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    # Its own scaling, and the factor that keras.applications.efficientnet adds where weights="imagenet".
    expected = (picture() / 255 - means) / deviations / np.sqrt(deviations)
    given = np.asarray(normalised(picture(), "EfficientNetB0"))
    assert np.allclose((given / 255 - means) / deviations, expected, atol=1e-4)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return fecnet(SMALL)


def test_the_backbone_makes_of_a_face_what_it_does_by_itself(network: keras.Model) -> None:
    alone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    alone.set_weights(network.get_layer("backbone").get_weights())
    inside = keras.Model(network.input, network.get_layer("reduced_convolution").input)
    expected = alone(keras.applications.mobilenet_v2.preprocess_input(picture().copy()))
    assert np.allclose(np.asarray(inside(picture())), np.asarray(expected), atol=1e-5)


def test_fecnet_has_the_layers_of_the_paper(network: keras.Model) -> None:
    shapes = {layer.name: layer.output.shape for layer in network.layers}
    assert shapes["reduced_convolution"][-1] == 512
    for layer in range(1, 6):
        assert network.get_layer(f"dense{layer}_convolution").kernel.shape == (3, 3, 512 + (layer - 1) * 64, 64)
    assert shapes["dense5_joined"][-1] == 512 + 5 * 64
    assert shapes["fully_connected"] == (None, 512)
    assert network.output_shape == (None, 16)
    assert IMAGE_SIZES["fecnet"] == 224


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".keras"])
def test_it_begins_with_the_weights_it_is_given_and_keeps_what_is_frozen(
    network: keras.Model, tmp_path: Path, ending: str
) -> None:
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    file = tmp_path / f"w{ending}"
    source.save_weights(file) if ending == ".weights.h5" else source.save(file)
    begin_with(network, file)
    hold(network, Parameters(root="", freeze_until="block_3_expand"), fine_tuning=False)
    backbone = network.get_layer("backbone")
    for ours, theirs in zip(backbone.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    trained = [layer.name for layer in backbone.layers if layer.trainable]
    assert trained[0] == "block_3_expand_BN"


def test_weights_of_another_network_are_refused(network: keras.Model, tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ConfigurationError, match="do not fit the backbone"):
        begin_with(network, tmp_path / "w.weights.h5")


def test_a_layer_that_is_not_there_is_refused(network: keras.Model) -> None:
    with pytest.raises(ConfigurationError, match="did you mean block_3_expand"):
        check_layers(network, Parameters(root="", freeze_until="block_3_expnd"))


def test_fine_tuning_that_would_train_nothing_more_is_refused(network: keras.Model) -> None:
    p = Parameters(root="", freeze_until="block_3_expand", fine_tune_steps=1, fine_tune_from="block_5_expand")
    with pytest.raises(ConfigurationError, match="--fine-tune-from block_5_expand: not before --freeze-until block_3"):
        check_layers(network, p)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "fecnet"}, "see faces of 224 pixels, and the records hold 32: run datagen with --image-size 224"),
        ({"model": "tiny", "image_size": 64}, "see faces of 64 pixels, and the records hold 32"),
        ({"model": "tiny", "backbone": "ResNet50"}, "--backbone: model tiny has no backbone; fecnet has"),
        ({"model": "tiny", "fine_tune_steps": 2}, "--fine-tune-steps: model tiny has no backbone; fecnet has"),
        ({"model": "fecnet", "image_size": SIZE, "fine_tune_steps": 2}, "nothing is frozen before them"),
        ({"model": "fecnet", "image_size": SIZE, "fine_tune_rate": 0.1}, "--fine-tune-rate: there is no fine-tuning"),
        ({"model": "fecnet", "image_size": SIZE, "backbone_weights": "/nowhere/w.h5"}, "/nowhere"),
        ({"model": "fecnet", "image_size": SIZE, "backbone_weights": "w.pt"}, "ends in .weights.h5"),
    ],
)
def test_what_a_network_cannot_take_is_refused_before_data_is_read(
    records_of_600: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(Parameters(root=str(records_of_600), **options))  # type: ignore[arg-type]


def test_a_backbone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean ResNet50"):
        Parameters(root="", backbone="Resnet50")
