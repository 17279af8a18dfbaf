"""A training step by JAX: the state goes in and comes out; the compiler spreads the one step over the devices."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from components.train.loss import batch_figures
from components.train.models import Triplets
from components.train.parameters import Parameters


class JaxStepper:
    """See ``components.train.steps.Stepper``."""

    def __init__(self, triplets: Triplets, p: Parameters, mesh: Mesh) -> None:
        self._triplets = triplets
        self._batch = NamedSharding(mesh, PartitionSpec("batch"))  # type: ignore[no-untyped-call]
        everywhere = NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]
        self._variables = (
            triplets.trainable_variables,
            triplets.non_trainable_variables,
            triplets.optimizer.variables,
        )
        # A copy: the step gives the memory of its input to its output, and the network keeps its own.
        self._state = jax.tree.map(
            lambda variable: jax.device_put(np.asarray(variable), everywhere),
            [list(part) for part in self._variables],
        )

        def loss_of(weights: Any, fixed: Any, faces: Any, *places_and_labels: Any) -> Any:
            *places, labels = places_and_labels
            embeddings, fixed = triplets.stateless_call(weights, fixed, faces, *places, training=True)
            figures = batch_figures(p, embeddings, labels)
            return figures[0], (fixed, figures)

        def step(state: Any, *batch: Any) -> Any:
            weights, fixed, of_optimizer = state
            (_, (fixed, figures)), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, fixed, *batch)
            weights, of_optimizer = triplets.optimizer.stateless_apply(of_optimizer, gradients, weights)
            return [list(weights), list(fixed), list(of_optimizer)], jax.numpy.stack(figures)

        self._step = jax.jit(step, donate_argnums=0)

    def __call__(self, *batch: Any) -> Any:
        placed = (jax.device_put(np.asarray(part), self._batch) for part in batch)
        self._state, figures = self._step(self._state, *placed)
        return figures

    def settle(self) -> None:
        """Put what was learned into the network and its optimizer."""
        for variables, values in zip(self._variables, self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(np.asarray(value))
