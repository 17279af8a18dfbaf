"""How faces are changed while training, all of a batch at once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import tensorflow as tf

from components.train.parameters import LIGHT, STRONG


@dataclass(frozen=True)
class Strength:
    """At the most: ``shift`` a share of the side, ``rotation`` radians, ``scale`` and ``contrast`` shares of 1,
    ``brightness`` grey levels. Half of the faces are mirrored."""

    shift: float
    contrast: float
    rotation: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0


STRENGTHS: Final = {
    "none": None,
    LIGHT: Strength(shift=1 / 16, contrast=0.2),
    STRONG: Strength(shift=1 / 12, contrast=0.3, rotation=math.radians(15), scale=0.15, brightness=40.0),
}


def strength_at(step: Any, augmentation: str, rise: int = 0) -> Strength | None:
    """The strength in ``step``, int64 from 0 on: that of light at first, that of ``augmentation`` after ``rise`` steps.

    Between them it grows evenly; its numbers are then scalar tensors.
    """
    full, least = STRENGTHS[augmentation], STRENGTHS[LIGHT]
    if full is None or least is None or not rise:
        return full
    share = tf.minimum(tf.cast(step, tf.float32) / rise, 1.0)
    return Strength(
        **{name: getattr(least, name) + share * (value - getattr(least, name)) for name, value in asdict(full).items()}
    )


def augmented(faces: Any, strength: Strength, seed: Any, first: int = 0, of: int | None = None) -> Any:
    """Float 0..255 faces [n, size, size, 3], each changed by itself, by the two-element int64 ``seed``.

    If they are a part of a batch, the one from face ``first`` on of ``of``, as they would be changed in all of it.
    """
    number, size = tf.shape(faces)[0], faces.shape[1]
    whole = number if of is None else of
    chance = tf.random.stateless_uniform([7, whole], seed, -1.0, 1.0)[:, first : first + number]
    mirrored = tf.where(chance[0] < 0, -1.0, 1.0)
    angle, scale = strength.rotation * chance[1], 1.0 / (1.0 + strength.scale * chance[2])
    across = tf.round(strength.shift * size * chance[3])
    down = tf.round(strength.shift * size * chance[4])
    centre = (size - 1) / 2
    # From a place in the new picture to that in the old one, about the centre.
    xx, xy = mirrored * scale * tf.cos(angle), -scale * tf.sin(angle)
    yx, yy = mirrored * scale * tf.sin(angle), scale * tf.cos(angle)
    zero = tf.zeros_like(angle)
    transforms = tf.stack(
        [
            *(xx, xy, centre - centre * (xx + xy) + across),
            *(yx, yy, centre - centre * (yx + yy) + down),
            *(zero, zero),
        ],
        axis=1,
    )
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=faces,
        transforms=transforms,
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    mean = tf.reduce_mean(moved, axis=(1, 2), keepdims=True)
    contrast = tf.reshape(1.0 + strength.contrast * chance[5], (-1, 1, 1, 1))
    brightness = tf.reshape(strength.brightness * chance[6], (-1, 1, 1, 1))
    return tf.clip_by_value((moved - mean) * contrast + mean + brightness, 0.0, 255.0)
