"""Small graphs with the tensor names of faced's two networks, which nobody here has both of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from components.faces.detectors.faced import GRID


def grid(**cells: float) -> np.ndarray[Any, Any]:
    """A grid of zeros but for the cells named ``c<column>r<row>``."""
    values = np.zeros((1, GRID, GRID), np.float32)
    for name, value in cells.items():
        column, row = name[1:].split("r")
        values[0, int(column), int(row)] = value
    return values


def graphs(cell: str, proposed: tuple[float, float], corrected: tuple[float, float]) -> tuple[bytes, bytes]:
    """A proposer and a corrector, frozen.

    The proposer answers one ``cell``, whose probability is the mean of the picture's red: a face of the ``proposed``
    width and height in its middle. The corrector's ``X`` is the mean of its first channel, its size ``corrected``.
    """
    import tensorflow.compat.v1 as tf

    def frozen(outputs: Callable[[Any], dict[str, Any]]) -> bytes:
        with tf.Graph().as_default() as graph:
            picture = tf.placeholder(tf.float32, [None, None, None, 3], name="img")
            tf.placeholder(tf.bool, [], name="training")
            for name, value in outputs(picture).items():
                tf.identity(value, name=name)
            return bytes(graph.as_graph_def().SerializeToString())

    def proposer(picture: Any) -> dict[str, Any]:
        at = grid(**{cell: 1.0})
        width, height = proposed
        return {
            "prob": at * tf.reduce_mean(picture[..., 0]),
            "x_center": tf.constant(at * 0.5),
            "y_center": tf.constant(at * 0.5),
            "w": tf.constant(at * width),
            "h": tf.constant(at * height),
        }

    def corrector(picture: Any) -> dict[str, Any]:
        first = tf.reshape(tf.reduce_mean(picture[..., 0]), [1, 1])
        width, height = (tf.constant([[length]]) for length in corrected)
        return {"X": first, "Y": tf.constant([[0.5]]), "W": width, "H": height}

    return frozen(proposer), frozen(corrector)
