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

    Takes a batch as ``components.train.input_pipeline`` gives it: faces and labels, or shared faces, places and labels.
    Gives its mean loss, its strict accuracy and the share of active triplets as one array [3], for which nobody has to
    wait.
    """

    def __call__(self, *batch: Any) -> Any: ...

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
        several = strategy.num_replicas_in_sync > 1

        def embeddings_of(faces: Any, places: Any = None) -> Any:
            if places is None:
                return triplets(faces, training=True)
            embedded = triplets.network(faces, training=True)
            if several:
                # A triplet of one device has faces that another embeds; gradients go back the same way.
                embedded = tf.distribute.get_replica_context().all_gather(embedded, axis=0)
            # Whose gradient is no list of rows, which cannot be gathered from all devices.
            return tf.gather_nd(embedded, places[:, :, None])

        def replica(*batch: Any) -> Any:
            with tf.GradientTape() as tape:
                figures = batch_figures(p, embeddings_of(*batch[:-1]), batch[-1])
            # Gradients of the devices are added up: a share of the whole batch each.
            triplets.optimizer.apply(tape.gradient(figures[0], trained), trained)
            return tf.stack(figures)

        @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
        def step(*batch: Any) -> Any:
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica, batch), axis=None)

        self._step = step

    def __call__(self, *batch: Any) -> Any:
        return self._step(*batch)

    def settle(self) -> None:
        """The variables are the network's own."""
