"""One training step, on TensorFlow's devices or on JAX's: the same loss, the same gradients, the same optimizer."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from components.train.devices import Devices
from components.train.loss import batch_figures
from components.train.models import Triplets
from components.train.parameters import JAX, Parameters


class Stepper(Protocol):
    """Trains one step a call.

    Takes a batch as ``components.train.input_pipeline`` gives it, and gives its mean loss, its strict accuracy and
    the share of active triplets as one array [3], for which nobody has to wait.
    """

    def __call__(self, faces: Any, labels: Any) -> Any: ...

    def settle(self) -> None:
        """Put what was learned into the network and its optimizer, if it is not there."""


def stepper(triplets: Triplets, p: Parameters, on: Devices) -> Stepper:
    """A stepper that trains what is trainable of ``triplets``."""
    if on.backend == JAX:
        from components.train.jax_steps import JaxStepper

        return JaxStepper(triplets, p, on.spread)
    return _TensorFlowStepper(triplets, p, on.spread)


class _TensorFlowStepper:
    def __init__(self, triplets: Triplets, p: Parameters, strategy: Any) -> None:
        trained = triplets.trainable_variables

        def replica(faces: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                embeddings = triplets(faces, training=True)
                figures = batch_figures(p, embeddings, labels)
            # Gradients of the devices are added up: a share of the whole batch each.
            triplets.optimizer.apply(tape.gradient(figures[0], trained), trained)
            return tf.stack(figures)

        @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
        def step(faces: Any, labels: Any) -> Any:
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica, (faces, labels)), axis=None)

        self._step = step

    def __call__(self, faces: Any, labels: Any) -> Any:
        return self._step(faces, labels)

    def settle(self) -> None:
        """The variables are the network's own."""
