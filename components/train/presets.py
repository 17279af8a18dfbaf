"""Backbones that keras-hub saved as presets: a network with its weights, and how it wants its pixels."""

from __future__ import annotations

from typing import Any

import keras

from fec.errors import ConfigurationError


def network_of_preset(folder: str) -> keras.Model:
    """The network in ``folder`` with its weights, of plain layers where its own are: RGB [n, size, size, 3] as it wants
    it to features [n, h, w, channels].

    Raises ConfigurationError for what is no such preset.
    """
    import keras_hub

    try:
        backbone = keras_hub.models.Backbone.from_preset(folder, dtype=keras.config.dtype_policy().name)
    except (ImportError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refused(" ".join(str(error).split())[:200]) from None
    inputs, outputs = keras.tree.flatten(backbone.input), keras.tree.flatten(backbone.output)
    if [len(part.shape) for part in (*inputs, *outputs)] != [4, 4] or inputs[0].shape[-1] != 3:
        raise _refused("it makes no map of features of a picture")
    return keras.Model(inputs[0], outputs[0])


def scaling_of_preset(folder: str) -> tuple[Any, Any]:
    """What RGB 0..255 is multiplied by and what is then added, numbers or one a channel, as the preset's own image
    converter does; ConfigurationError for a preset that has none, or one that does more."""
    import keras_hub

    try:
        converter = keras_hub.layers.ImageConverter.from_preset(folder)
    except (ImportError, OSError, ValueError, TypeError, KeyError, AttributeError):
        raise _refused(
            "it does not say how it wants its pixels: save its image converter there too, by save_to_preset"
        ) from None
    if type(converter).call is not keras_hub.layers.ImageConverter.call:
        raise _refused(f"its {type(converter).__name__} does more to pixels than to scale them")
    scale, offset = converter.scale, converter.offset
    return (1.0 if scale is None else scale), (0.0 if offset is None else offset)


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"--backbone: the preset of keras-hub cannot be taken: {why}")
