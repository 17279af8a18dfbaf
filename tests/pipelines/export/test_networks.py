"""A network gives the same embeddings in every form, or there is none."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fec.errors import ConfigurationError, RunFailed
from fec.model_card import ModelCard, Preprocessing
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
