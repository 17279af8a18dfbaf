"""A trained network as a function: a photograph or a crop in, its embedding out."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.datagen.square import square_face
from fec.errors import ConfigurationError
from fec.model_card import ModelCard, Preprocessing
from fec.pixels import RGB, encode_jpeg
from pipelines.embedding.finding import FaceFinder, FaceInPicture, Photograph, read_photograph, the_one_face
from pipelines.embedding.hearing import quiet_tensorflow
from pipelines.embedding.models import ModelPlace, find_model

# Faces that go through the network at a time.
BATCH: Final = 64

Vectors = NDArray[np.float32]


class Embedder:
    """A trained network with what is done to a picture before it; ``load_embedder`` gives one.

    ``card`` is what its ``model.json`` says; ``dimension`` the numbers of an embedding.
    """

    def __init__(self, network: Any, card: ModelCard) -> None:
        import tensorflow as tf

        self.card, self.network = card, network
        self.dimension = card.dimension
        side = card.preprocessing.image_size
        faces = tf.TensorSpec([None, side, side, 3], tf.float32)
        self._embedded = tf.function(lambda pixels: network(pixels, training=False), input_signature=[faces])
        self._finder = FaceFinder(card.preprocessing)

    def embed(self, picture: str | Path | Image.Image | NDArray[np.uint8]) -> Vectors:
        """The embedding of one face, float32 [dimension], of length 1.

        A path is a whole photograph: the one face in it is found and cropped as in training. Pixels (uint8 RGB
        [height, width, 3], or a PIL image) are a crop already, as ``dataset.crop`` gives it. Raises ConfigurationError
        for a photograph with no face or several (``faces`` gives all of them), and for what is no picture.
        """
        if isinstance(picture, str | os.PathLike):
            found = the_one_face(self.faces(picture), str(picture))
            crop = found.crop
        else:
            crop = encode_jpeg(_pixels(picture), self.card.preprocessing.crop_quality)
        vector: Vectors = self.of_crops([crop])[0]
        return vector

    def faces(self, photograph: str | Path | Image.Image | NDArray[np.uint8] | Photograph) -> list[FaceInPicture]:
        """The faces in a whole photograph, from left to right: ``box``, ``confidence``, and ``crop`` as a JPEG."""
        if isinstance(photograph, str | os.PathLike):
            photograph = read_photograph(Path(photograph))
        elif not isinstance(photograph, Photograph):
            photograph = Photograph("picture", _pixels(photograph))
        return self._finder.faces(photograph)

    def cut(self, photograph: Photograph, box: Any) -> FaceInPicture:
        """The face at a box as FEC publishes them, where no detector is to be asked."""
        return self._finder.cut(photograph, box)

    def of_crops(self, crops: Iterable[bytes]) -> Vectors:
        """The embeddings of crops as the faces step stores them (JPEG), float32 [n, dimension]."""
        parts = [np.empty((0, self.dimension), np.float32)]
        for some in _some(crops):
            pixels = np.stack([prepared(crop, self.card.preprocessing) for crop in some])
            parts.append(self._embedded(pixels.astype(np.float32)).numpy())
        return np.concatenate(parts)

    def distance(self, a: Any, b: Any) -> Any:
        """The Euclidean distance of two embeddings, 0..2; of each in [n, dimension] to the other, float32 [n]."""
        apart = np.linalg.norm(np.asarray(a, np.float32) - np.asarray(b, np.float32), axis=-1)
        return float(apart) if np.ndim(apart) == 0 else apart

    def __repr__(self) -> str:
        card = self.card
        return f"Embedder({card.run!r}): {card.network}, {self.dimension} numbers, distance {card.metric}"


def prepared(crop: bytes, steps: Preprocessing) -> RGB:
    """A stored crop (JPEG) as the network takes it, uint8 [image_size, image_size, 3], by what datagen does."""
    small = square_face(crop, steps.image_size, steps.jpeg_quality)
    pixels = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None  # our own JPEG
    return np.ascontiguousarray(pixels[:, :, ::-1]).astype(np.uint8, copy=False)


def load_embedder(model: str | Path) -> Embedder:
    """The trained model as an Embedder: ``ROOT/models/RUN``, a root with one run, or a ``.keras`` file.

    A root or a folder may be in a bucket (gs://, s3://). Raises ConfigurationError where there is no such model, for a
    file that is none, and without TensorFlow.
    """
    return load(find_model(os.fspath(model)))


def load(place: ModelPlace) -> Embedder:
    """The model at ``place``; raises as ``load_embedder`` does."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ConfigurationError("TensorFlow is not installed: pip install 'fec[train]'")
    quiet_tensorflow()
    import keras

    with place.storage.local_copy(place.path) as path:
        try:
            network = keras.saving.load_model(path, compile=False)
        except Exception as error:  # noqa: BLE001 - whatever Keras makes of a file that is no model of its own
            raise ConfigurationError(f"model {place.shown}: Keras cannot load it ({_first_line(error)})") from None
    return Embedder(network, _checked(network, place))


def _checked(network: Any, place: ModelPlace) -> ModelCard:
    """The card of a network that takes faces and gives embeddings, or what can be told of one that has none."""
    shape, given = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    takes_faces = isinstance(shape, tuple) and len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
    if not takes_faces or not isinstance(given, tuple) or len(given) != 2 or not shape[1]:  # type: ignore[index]
        raise ConfigurationError(f"model {place.shown}: takes {shape} and gives {given}; expected square RGB faces")
    assert shape is not None
    if place.card is None:
        return ModelCard(place.run, str(network.name), "", int(given[1]), Preprocessing(int(shape[1])))
    if place.card.preprocessing.image_size != shape[1] or place.card.dimension != given[1]:
        raise ConfigurationError(f"model {place.shown}: the model.json beside it is of another model")
    return place.card


def _pixels(picture: Any) -> RGB:
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ConfigurationError(
            f"a picture of {pixels.dtype} {list(pixels.shape)}: expected a path, a PIL image, or uint8 RGB "
            "[height, width, 3]"
        )
    return pixels


def _some(crops: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    remaining = iter(crops)
    while some := list(islice(remaining, BATCH)):
        yield some


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
