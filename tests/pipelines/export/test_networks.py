"""A network gives the same embeddings in every form, or there is none."""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.train.models import mirrored
from fec.errors import ConfigurationError, RunFailed
from fec.model_card import ModelCard, Preprocessing
from pipelines.cli import parser
from pipelines.commands import export
from pipelines.embedding.embedder import Embedder
from pipelines.export import datasets, networks
from pipelines.export.networks import NETWORK_FORMATS, TOLERANCE, export_network

SIZE = 8


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    """The smallest network with the layers that ours are made of."""
    import keras
    from keras import layers

    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), name="faces"),
            layers.Rescaling(1 / 127.5, offset=-1.0),
            layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
            layers.UnitNormalization(),
        ]
    )
    return Embedder(network, ModelCard("run", "small", "0" * 64, 4, Preprocessing(SIZE)))


@pytest.mark.parametrize("name", NETWORK_FORMATS)
def test_every_form_gives_the_embeddings_of_the_model(embedder: Embedder, tmp_path: Path, name: str) -> None:
    path, apart = export_network(embedder, name, tmp_path)
    assert path.exists()
    assert apart <= TOLERANCE
    assert ModelCard.parse((tmp_path / "model.json").read_bytes()) == embedder.card


@pytest.mark.parametrize("name", NETWORK_FORMATS)
def test_every_form_of_a_mirrored_network_gives_its_embeddings(embedder: Embedder, tmp_path: Path, name: str) -> None:
    """As the command makes it of the stored network, which Keras puts together anew."""
    network = mirrored(embedder.network, SIZE)
    network.save(tmp_path / "model.keras")
    given: Sequence[str] = ["export", str(tmp_path / "model.keras"), "--to", name, "-o", str(tmp_path / "out")]
    options = parser(["export"]).parse_args(given)
    assert options.run(options) == 0
    form = NETWORK_FORMATS[name]
    faces = np.random.default_rng(1).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32)
    wanted = np.asarray(network(faces))
    assert not np.allclose(wanted, np.asarray(embedder.network(faces)), atol=0.01)
    for pictures in (faces, np.ascontiguousarray(faces[:, :, ::-1])):
        assert np.allclose(form.run(tmp_path / "out" / form.file, form.given(pictures)), wanted, atol=TOLERANCE)


def test_a_form_that_does_not_agree_is_not_kept(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(network: Any, path: Path) -> None:
        import keras

        turned = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(-1.0, offset=255.0), network])
        turned.export(path, format="tf_saved_model", verbose=False)

    monkeypatch.setitem(NETWORK_FORMATS, "savedmodel", replace(NETWORK_FORMATS["savedmodel"], write=other))
    with pytest.raises(RunFailed, match="gives other embeddings than the model"):
        export_network(embedder, "savedmodel", tmp_path)


def test_a_missing_package_is_named(embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"needs tf2onnx: pip install 'fec\[export\]'"):
        export_network(embedder, "onnx", tmp_path)


def test_the_command_offers_what_there_is() -> None:
    assert list(networks.NETWORK_FORMATS) == list(export.MODELS)
    assert list(datasets.DATASET_FORMATS) == list(export.DATASETS)
