"""The training loop: steps, the points of the curves, held-out accuracy, checkpoints, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.train.backbones import begin_with, check_layers, hold
from components.train.checkpoints import Checkpoints, TrainingState
from components.train.choice import Chosen
from components.train.devices import Devices
from components.train.ending import Ending, together, told_to_end
from components.train.input_pipeline import Faces
from components.train.loss import triplet_accuracy
from components.train.models import Shape, Triplets, network_of
from components.train.parameters import Parameters
from components.train.steps import Stepper, stepper
from fec.errors import RunFailed
from fec.progress import event, track
from fec.projection import effective_dimensions

# Steps whose mean loss and accuracy make one point of the curves, at least; a long run has about MAX_POINTS.
POINT: Final = 10
MAX_POINTS: Final = 1_000
MEASUREMENTS: Final = 20
# Training accuracy above held-out accuracy by more than this is worth a word.
APART: Final = 0.15
_EMBEDDED_AT_A_TIME: Final = 256


@dataclass(frozen=True)
class HeldOut:
    """Triplets to measure on: the numbers of their faces, int32 [n, 3], and their labels, int32 [n, 5]."""

    faces: NDArray[np.int32]
    labels: NDArray[np.int32]


def compiled(
    p: Parameters, chosen: Chosen, shape: Shape, weights: Path | None = None, *, fine_tuning: bool = False
) -> Triplets:
    """The network over triplets with its optimizer, as at the beginning of the training or of its fine-tuning.

    ``weights``: of its backbone, where it has one.
    """
    keras.utils.set_random_seed(p.seed % 2**32)
    network = network_of(p.model, shape)
    if shape.backbone:
        check_layers(network, p)
        begin_with(network, weights)
    triplets = Triplets(network)
    triplets(keras.ops.zeros((1, 3, shape.image_size, shape.image_size, 3)))
    prepare(triplets, p, chosen, fine_tuning=fine_tuning)
    return triplets


def prepare(triplets: Triplets, p: Parameters, chosen: Chosen, *, fine_tuning: bool) -> None:
    """Have what this part of the training trains be trainable, and give ``triplets`` an optimizer of it.

    Its rate rises over the warm-up and falls along a cosine; in fine-tuning it only falls.
    """
    if any(layer.name == "backbone" for layer in triplets.network.layers):
        hold(triplets.network, p, fine_tuning=fine_tuning)
    rate, steps, warmup = chosen.learning_rate, chosen.fine_tune_after, chosen.warmup_steps
    if fine_tuning:
        rate, steps, warmup = chosen.fine_tune_rate, chosen.steps - chosen.fine_tune_after, 0
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        steps - warmup,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
    common: dict[str, Any] = {"weight_decay": p.weight_decay or None}
    if p.ema:
        common |= {"use_ema": True, "ema_momentum": p.ema}
    adam = p.optimizer == "adam"
    optimizer = keras.optimizers.Adam(schedule, **common) if adam else keras.optimizers.SGD(schedule, 0.9, **common)
    # XLA makes training on a CPU 1.6 to 1.9 times slower, and is off wherever operations are deterministic.
    triplets.compile(optimizer=optimizer, jit_compile=False)
    triplets.optimizer.build(triplets.trainable_variables)


def measured(network: Any, faces: Faces, held_out: HeldOut) -> tuple[float, float]:
    """Strict accuracy on ``held_out``, each face embedded once, and their effective dimensions."""
    numbers, places = np.unique(held_out.faces, return_inverse=True)
    vectors = [
        np.asarray(network(faces[numbers[start : start + _EMBEDDED_AT_A_TIME]], training=False))
        for start in range(0, len(numbers), _EMBEDDED_AT_A_TIME)
    ]
    of_faces = np.concatenate(vectors)
    embeddings = of_faces[places.reshape(held_out.faces.shape)]
    right = np.mean(np.asarray(triplet_accuracy(embeddings, held_out.labels[:, 0])))
    return float(right), effective_dimensions(of_faces) or 0.0


class Fitting:
    """One training as far as it has come: ``state`` is kept up to date."""

    def __init__(
        self,
        triplets: Triplets,
        state: TrainingState,
        checkpoints: Checkpoints,
        p: Parameters,
        chosen: Chosen,
        held_out: HeldOut | None,
        faces: Faces,
    ) -> None:
        self._triplets, self._checkpoints, self._faces = triplets, checkpoints, faces
        self.state, self._p, self._chosen, self._held_out = state, p, chosen, held_out
        self._point = max(POINT, chosen.steps // MAX_POINTS)
        self._measure_every = max(1, chosen.steps // MEASUREMENTS)
        self._warned = False

    def fit(self, data: Any, on: Devices, logs: Path) -> None:
        """Train up to the chosen steps, or to where held-out accuracy no longer rises.

        Raises RunFailed if the loss overflows, when told to end, after a checkpoint, or if another host has ended.
        """
        state, steps = self.state, self._chosen.steps
        step = stepper(self._triplets, self._p, on)
        since: Any = np.asarray(state.since, np.float32)
        writer = tf.summary.create_file_writer(str(logs))
        with (
            together(on.hosts),
            writer.as_default(),
            told_to_end() as heard,
            track("train", steps, "steps") as progress,
        ):
            progress.advance(state.step)
            ending = Ending(on, heard)
            batches = iter(data)
            while state.step < steps and not self._plateau():
                since = since + step(*next(batches))
                state.step += 1
                if self._chosen.fine_tunes and state.step == self._chosen.fine_tune_after:
                    step.settle()
                    step = self._fine_tuning(on)
                last = state.step == steps
                if state.step % self._point == 0 or last:
                    self._add_point(since, progress)
                    since = np.zeros(3, np.float32)
                measured_now = self._held_out is not None and (state.step % self._measure_every == 0 or last)
                due = state.step % self._p.checkpoint_every == 0 or measured_now
                told = ending.now()
                if due or told or last:
                    step.settle()
                if measured_now:
                    self._measure(progress)
                progress.advance()
                if due or told:
                    state.since = tuple(np.asarray(since).tolist())
                    writer.flush()
                    self._checkpoints.save(self._triplets, state)
                if told and not last:
                    raise RunFailed(
                        f"told to stop after step {state.step:,}, which is kept: run again, and it goes on from there"
                    )
        writer.close()

    def _fine_tuning(self, on: Devices) -> Stepper:
        event("fine_tuning", f"fine-tuning begins after step {self.state.step:,}")
        with on.scope():
            prepare(self._triplets, self._p, self._chosen, fine_tuning=True)
        return stepper(self._triplets, self._p, on)

    def _add_point(self, since: Any, progress: Any) -> None:
        history = self.state.history
        steps = self.state.step - (history.steps[-1] if history.steps else 0)
        loss, accuracy, active = (float(value) / steps for value in np.asarray(since))
        if not math.isfinite(loss):
            raise RunFailed(
                f"the loss is {loss} at step {self.state.step}: try a lower --learning-rate than "
                f"{self._chosen.learning_rate}"
            )
        history.steps.append(self.state.step)
        history.loss.append(loss)
        history.triplet_accuracy.append(accuracy)
        history.active.append(active)
        for name, value in (("loss", loss), ("triplet_accuracy", accuracy), ("active", active)):
            tf.summary.scalar(name, value, step=self.state.step)
        progress.note("loss", loss)
        progress.note("accuracy", accuracy)

    def _measure(self, progress: Any) -> None:
        assert self._held_out is not None
        history = self.state.history
        accuracy, dimensions = measured(self._triplets.network, self._faces, self._held_out)
        history.held_out_steps.append(self.state.step)
        history.held_out_accuracy.append(accuracy)
        history.held_out_dimensions.append(dimensions)
        tf.summary.scalar("held_out_accuracy", accuracy, step=self.state.step)
        tf.summary.scalar("held_out_dimensions", dimensions, step=self.state.step)
        progress.note("held_out", accuracy)
        recent = history.triplet_accuracy[-5:]
        trained = sum(recent) / len(recent) if recent else 0.0
        if trained - accuracy > APART and not self._warned:
            self._warned = True
            event(
                "over_fitting",
                f"after {self.state.step:,} steps {trained:.3f} of the training triplets are right, but "
                f"{accuracy:.3f} of those held out: the network learns them by heart",
                severity="WARNING",
            )

    def _plateau(self) -> bool:
        history, patience, chosen = self.state.history, self._p.patience, self._chosen
        begun = chosen.fine_tune_after if chosen.fine_tunes else 0
        # What comes before fine-tuning ends by its steps only.
        if not patience or not history.best or self.state.step < begun:
            return False
        return sum(step > max(history.best, begun) for step in history.held_out_steps) >= patience
