"""The networks, by name. Each takes faces as float 0..255 RGB [batch, size, size, 3] and gives unit vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from components.train.backbones import features, normalised
from components.train.parameters import BFLOAT16, FLOAT32

# A face whose grey levels deviate by fewer than about so many from their mean keeps a smaller deviation than others.
FAINT: Final = 12.75


@dataclass(frozen=True)
class Shape:
    """What a network is made for: faces of ``image_size`` pixels, ``embedding_size`` numbers out.

    ``synchronized``: batch normalisation over all devices' faces, so that eight learn what one would. ``backbone``: of
    a network that has one, its name in ``keras.applications``. ``precision``: what it computes in; weights, embeddings
    and all that distances depend on are float32 in any case.
    """

    image_size: int
    embedding_size: int = 16
    synchronized: bool = False
    backbone: str = ""
    precision: str = FLOAT32


def tiny(shape: Shape) -> keras.Model:
    """About 300,000 parameters: learns on a CPU in minutes.

    Of larger faces more of its blocks halve the map, so that the last one is two or three places wide, from 17 pixels
    to 192, and each of them sees nearly all of the face. Four places wide, at 64 pixels, it learned nothing from noisy
    faces in 2,500 steps; one wide, at 32, nothing in 1,500.
    """
    faces, hidden = _standardized(shape)
    strides = (2, 2, 2 if shape.image_size > 48 else 1, 2, 2 if shape.image_size > 96 else 1, 2)
    for number, (width, stride) in enumerate(zip((32, 32, 64, 64, 128, 128), strides, strict=True), start=1):
        hidden = _convolution(hidden, width, stride, f"block{number}", shape)
    return _embedded(faces, hidden, shape, "tiny")


def base(shape: Shape) -> keras.Model:
    """About 4.7 million parameters in eight residual blocks, made for faces of 112 pixels."""
    faces, hidden = _standardized(shape)
    hidden = _convolution(hidden, 64, 2, "stem", shape)
    for stage, width in enumerate((64, 128, 256, 384), start=1):
        for block in (1, 2):
            stride = 2 if block == 1 and stage > 1 else 1
            name = f"stage{stage}_block{block}"
            change = _convolution(hidden, width, stride, f"{name}_first", shape)
            change = _convolution(change, width, 1, f"{name}_second", shape, activated=False)
            if stride != 1 or hidden.shape[-1] != width:
                hidden = _convolution(hidden, width, stride, f"{name}_shortcut", shape, side=1, activated=False)
            hidden = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([hidden, change]))
    return _embedded(faces, hidden, shape, "base")


def fecnet(shape: Shape) -> keras.Model:
    """The network of Vemulapalli & Agarwala (CVPR 2019, section 5), made for faces of 224 pixels, on any backbone.

    A 1x1 convolution of 512, a dense block of 5 layers that each add 64, the average, 512 numbers, and the embedding.
    The paper's backbone is FaceNet's NN2 up to inception 4e, which is no public Keras network.

    What could be read here of the paper is others' descriptions: they tell the sizes above, but not those of the dense
    layers' convolutions. A layer is therefore as in the paper that dense blocks come from (Huang et al., Densely
    Connected Convolutional Networks, CVPR 2017, section 3): normalisation, ReLU, 3x3 convolution; and normalisation and
    ReLU behind the block. Of two public re-implementations one has the same layer without the normalisation, the other
    that paper's bottleneck, a 1x1 convolution to four times as many before the 3x3.
    """
    faces = keras.Input((shape.image_size, shape.image_size, 3), name="faces")
    pixels = normalised(faces, shape.backbone)
    hidden = features(pixels, shape.backbone, shape.image_size, synchronized=shape.synchronized)
    hidden = layers.Conv2D(512, 1, use_bias=False, name="reduced_convolution")(hidden)
    for layer in range(1, 6):
        more = _activated(hidden, f"dense{layer}", shape)
        more = layers.Conv2D(64, 3, padding="same", use_bias=False, name=f"dense{layer}_convolution")(more)
        hidden = layers.Concatenate(name=f"dense{layer}_joined")([hidden, more])
    hidden = _activated(hidden, "dense", shape)
    hidden = layers.GlobalAveragePooling2D(name="averaged", dtype="float32")(hidden)
    hidden = layers.Dense(512, activation="relu", name="fully_connected")(hidden)
    return _unit(faces, hidden, shape, "fecnet")


def network_of(model: str, shape: Shape) -> keras.Model:
    """The network of that name, untrained."""
    keras.config.set_dtype_policy("mixed_bfloat16" if shape.precision == BFLOAT16 else FLOAT32)
    try:
        return MODELS[model](shape)
    finally:
        keras.config.set_dtype_policy(FLOAT32)


def mirrored(network: keras.Model, image_size: int) -> keras.Model:
    """A network that gives the unit vector between those that ``network`` gives for a face and for its mirror image.

    It is made of Keras' own layers with names, so that it loads wherever ``network`` does, as the same bytes each time.
    """
    faces = keras.Input((image_size, image_size, 3), name="faces")
    # A matrix of noughts and ones puts the columns in the opposite order.
    mirror = layers.EinsumDense(
        "bhwc,wv->bhvc", output_shape=(image_size, image_size, 3), name="mirror", trainable=False, dtype="float32"
    )
    both = [network(faces), network(mirror(faces))]
    mirror.set_weights([np.eye(image_size, dtype=np.float32)[::-1]])
    between = layers.Average(name="between", dtype="float32")(both)
    unit = layers.UnitNormalization(name="unit_between", dtype="float32")(between)
    return keras.Model(faces, unit, name=f"{network.name}_mirrored")


MODELS: Final[dict[str, Callable[[Shape], keras.Model]]] = {"tiny": tiny, "base": base, "fecnet": fecnet}


def _standardized(shape: Shape) -> tuple[Any, Any]:
    """Faces, and the same each with a mean of 0 and a deviation of 1, or less for one of less than FAINT grey levels.

    So that neither light nor contrast is left of a photograph's; FaceNet's public implementations do it to each picture
    before the network, here it is a part of it.
    """
    faces = keras.Input((shape.image_size, shape.image_size, 3), name="faces")
    scaled = layers.Rescaling(1 / 255, name="scaled", dtype="float32")(faces)
    standard = layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, epsilon=(FAINT / 255) ** 2, name="standardized", dtype="float32"
    )
    return faces, standard(scaled)


def _embedded(faces: Any, hidden: Any, shape: Shape, name: str) -> keras.Model:
    # In float32 whatever the rest is in: distances are differences of nearly equal numbers.
    return _unit(faces, layers.GlobalAveragePooling2D(name="pooled", dtype="float32")(hidden), shape, name)


def _unit(faces: Any, hidden: Any, shape: Shape, name: str) -> keras.Model:
    embedding = layers.Dense(shape.embedding_size, name="embedding", dtype="float32")(hidden)
    return keras.Model(faces, layers.UnitNormalization(name="unit", dtype="float32")(embedding), name=name)


def _convolution(
    hidden: Any, width: int, stride: int, name: str, shape: Shape, *, side: int = 3, activated: bool = True
) -> Any:
    # Keras numbers the layers of a process that have no name: the same model would have other bytes the second time.
    convolution = layers.Conv2D(width, side, strides=stride, padding="same", use_bias=False, name=f"{name}_convolution")
    hidden = _normalized(convolution(hidden), name, shape)
    return layers.ReLU(name=f"{name}_relu")(hidden) if activated else hidden


def _normalized(hidden: Any, name: str, shape: Shape) -> Any:
    normal = layers.BatchNormalization(momentum=0.9, synchronized=shape.synchronized, name=f"{name}_normalization")
    return normal(hidden)


def _activated(hidden: Any, name: str, shape: Shape) -> Any:
    return layers.ReLU(name=f"{name}_relu")(_normalized(hidden, name, shape))


class Triplets(keras.Model):  # type: ignore[misc]
    """A network applied to triplets: faces [batch, 3, size, size, 3] in, embeddings [batch, 3, dimensions] out.

    The three faces go through the network in one call, so that its batch normalisation sees all faces of a batch
    together and an accelerator gets one large piece of work. On two CPU cores that is as fast as three calls: 0.99 to
    1.09 times in three runs (benchmarks/train.py).
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name="triplets")
        self.network = network

    def call(self, faces: Any, places: Any = None, training: bool = False) -> Any:
        """With ``places`` int [batch, 3], the faces are [n, size, size, 3]; these say which of them a triplet has."""
        if places is not None:
            return keras.ops.take(self.network(faces, training=training), places, axis=0)
        shape = keras.ops.shape(faces)
        flat = keras.ops.reshape(faces, (-1, *faces.shape[2:]))
        return keras.ops.reshape(self.network(flat, training=training), (shape[0], 3, self.network.output_shape[-1]))
