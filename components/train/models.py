"""The networks, by name. Each takes faces as float 0..255 RGB [batch, size, size, 3] and gives unit vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras
from keras import layers

from components.train.loss import triplet_accuracy, triplet_loss

# The paper's FECNet-16d (section 5.1).
EMBEDDING_SIZE: Final = 16


def tiny(image_size: int) -> keras.Model:
    """About 300,000 parameters: learns on a CPU in minutes."""
    faces = keras.Input((image_size, image_size, 3), name="faces")
    hidden = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled")(faces)
    for number, (width, stride) in enumerate(((32, 2), (32, 2), (64, 1), (64, 2), (128, 1), (128, 2)), start=1):
        hidden = _convolution(hidden, width, stride, f"block{number}")
    hidden = layers.GlobalAveragePooling2D(name="pooled")(hidden)
    embedding = layers.Dense(EMBEDDING_SIZE, name="embedding")(hidden)
    return keras.Model(faces, layers.UnitNormalization(name="unit")(embedding), name="tiny")


MODELS: Final[dict[str, Callable[[int], keras.Model]]] = {"tiny": tiny}


def _convolution(hidden: Any, width: int, stride: int, name: str) -> Any:
    # Keras numbers the layers of a process that have no name: the same model would have other bytes the second time.
    hidden = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_convolution")(hidden)
    hidden = layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(hidden)
    return layers.ReLU(name=f"{name}_relu")(hidden)


class Triplets(keras.Model):  # type: ignore[misc]
    """A network applied to triplets: faces [batch, 3, size, size, 3] in, embeddings [batch, 3, dimensions] out.

    The three faces go through the network in one call, so that its batch normalisation sees all faces of a batch
    together and an accelerator gets one large piece of work. On two CPU cores three calls are a tenth faster
    (benchmarks/train.py).
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name="triplets")
        self.network = network

    def call(self, faces: Any, training: bool = False) -> Any:
        shape = keras.ops.shape(faces)
        flat = keras.ops.reshape(faces, (-1, *faces.shape[2:]))
        return keras.ops.reshape(self.network(flat, training=training), (shape[0], 3, EMBEDDING_SIZE))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        return keras.ops.mean(triplet_loss(y_pred, y[:, 0], y[:, 1]))


class StrictTripletAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """Mean of ``components.train.loss.triplet_accuracy`` over batches."""

    def __init__(self) -> None:
        super().__init__(name="triplet_accuracy")

    def update_state(self, y: Any, embeddings: Any, sample_weight: Any = None) -> None:
        super().update_state(triplet_accuracy(embeddings, y[:, 0]))
