"""Backbones from ``keras.applications``: with the pixels each wants, given weights, and frozen up to a layer."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
from keras import layers

from components.train.backbone_names import BLUE_FIRST, FARTHER, NORMALISATIONS, SCALED, STANDARD, is_preset
from components.train.parameters import Parameters
from components.train.presets import network_of_preset, scaling_of_preset
from fec.errors import ConfigurationError
from fec.progress import event

# Of ImageNet's pixels, red first: means and deviations of 0..1, and the means of 0..255 that Caffe's models took.
_MEANS: Final = (0.485, 0.456, 0.406)
_DEVIATIONS: Final = (0.229, 0.224, 0.225)
_CAFFE_MEANS: Final = (123.68, 116.779, 103.939)
ALL: Final = "all"


def normalised(faces: Any, backbone: str) -> Any:
    """Faces, RGB 0..255 [n, size, size, 3], as ``backbone``, a name or the local folder of a preset, wants them."""
    if is_preset(backbone):
        by, plus = scaling_of_preset(backbone)
        return layers.Rescaling(by, offset=plus, name="as_the_preset", dtype="float32")(faces)
    way = NORMALISATIONS[backbone]
    # In float32 also where the rest is not: what is lost here no layer gets back.
    if way == SCALED:
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled", dtype="float32")(faces)
    if way == STANDARD:
        scale = [1 / (255 * deviation) for deviation in _DEVIATIONS]
        offset = [-mean / deviation for mean, deviation in zip(_MEANS, _DEVIATIONS, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="standard", dtype="float32")(faces)
    if way == FARTHER:
        scale = [1 / math.sqrt(deviation) for deviation in _DEVIATIONS]
        offset = [255 * mean * (1 - factor) for mean, factor in zip(_MEANS, scale, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="farther", dtype="float32")(faces)
    if way == BLUE_FIRST:
        offset = [-mean for mean in reversed(_CAFFE_MEANS)]
        blue_first = keras.ops.flip(faces, axis=-1)
        return layers.Rescaling(1.0, offset=offset, name="blue_first", dtype="float32")(blue_first)
    return faces


def features(faces: Any, backbone: str, image_size: int, *, synchronized: bool) -> Any:
    """What ``backbone`` without its classifier, untrained or as its preset has it, makes of ``faces`` as it wants them.

    Raises ConfigurationError if it takes no faces of ``image_size`` pixels.
    """
    try:
        if is_preset(backbone):
            network = network_of_preset(backbone)
        else:
            network = getattr(keras.applications, backbone)(
                include_top=False, weights=None, input_shape=(image_size, image_size, 3)
            )
        for layer in network._flatten_layers():
            if isinstance(layer, layers.BatchNormalization):
                layer.synchronized = synchronized
        network.name = "backbone"
        return network(faces)
    except ValueError as error:
        raise ConfigurationError(f"--backbone {backbone}: {error}; make larger records, or take another one") from None


def begin_with(network: keras.Model, weights: Path | None) -> None:
    """Give the backbone of ``network`` its ``weights``; ConfigurationError for such as do not fit.

    A preset's folder has given them already.
    """
    if weights is not None and weights.is_dir():
        return
    if weights is None:
        event("untrained", "the backbone starts untrained: nothing is downloaded; give --backbone-weights FILE")
        return
    try:
        # Keras only warns of layers that the file has nothing for, which would then be untrained.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.get_layer("backbone").load_weights(weights)
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        why = " ".join(str(error).split())[:200]
        raise ConfigurationError(
            f"--backbone-weights: these do not fit the backbone without its classifier ({why})"
        ) from None


def hold(network: keras.Model, p: Parameters, *, fine_tuning: bool) -> None:
    """Do not train the backbone's layers up to the one that ``p`` names for this part of the training.

    Batch normalisation that was given weights, or was frozen to begin with, keeps its averages and factors in
    fine-tuning too: those of small batches of other pictures would spoil what all later layers have learned from
    (https://keras.io/guides/transfer_learning). Raises ConfigurationError for a layer that the backbone has not got.
    """
    found = network.get_layer("backbone").layers
    frozen = _upto(found, p.freeze_until, "freeze-until")
    held = _upto(found, p.fine_tune_from, "fine-tune-from") if fine_tuning else frozen
    for number, layer in enumerate(found):
        layer.trainable = number >= held
        if p.pretrained or number < frozen:
            for part in layer._flatten_layers():
                if isinstance(part, layers.BatchNormalization):
                    part.trainable = False


def check_layers(network: keras.Model, p: Parameters) -> None:
    """Raise ConfigurationError for layers that the backbone has not got, or of which fine-tuning would train none."""
    found = network.get_layer("backbone").layers
    frozen = _upto(found, p.freeze_until, "freeze-until")
    if p.fine_tune_steps and _upto(found, p.fine_tune_from, "fine-tune-from") >= frozen:
        raise ConfigurationError(
            f"--fine-tune-from {p.fine_tune_from}: not before --freeze-until {p.freeze_until}, so that fine-tuning "
            "would train no more than what comes before it"
        )


def _upto(found: Sequence[Any], name: str, option: str) -> int:
    """How many layers there are up to the one of that name."""
    names = [layer.name for layer in found]
    if name not in ("", *names, ALL):
        near = difflib.get_close_matches(name, names, 1)
        meant = f"did you mean {near[0]}?" if near else f"the last are {', '.join(names[-3:])}"
        raise ConfigurationError(f"--{option} {name}: the backbone has no such layer; {meant}")
    return 0 if not name else len(names) if name == ALL else names.index(name) + 1
