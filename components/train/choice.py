"""What a training does where it was not told: by how many triplets and faces there are, and on what it runs.

The figures are measured (README.md): a net that sees few faces again and again over-fits and gains by strong
augmentation over many steps; one that sees many faces under-fits, loses by it, and gains by a higher learning rate and
more steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.train.parameters import AUTO, Parameters

# Up to so many faces a set counts as small.
FEW_FACES: Final = 6_000
SMALL_SET_STEPS: Final = 3_500
LEAST_STEPS: Final = 2_500
# With fewer steps than this strong augmentation loses more than it gains.
STRONG_FROM: Final = 1_500
# Epochs of a large set, and what a CPU is asked for at the most, unless that is less than one epoch.
EPOCHS: Final = 10.0
CPU_STEPS: Final = 8_000
LOW_RATE: Final = 1e-3
HIGH_RATE: Final = 3e-3
WARMUP: Final = 50


@dataclass(frozen=True)
class Chosen:
    """How long, how fast and on what a training learns, and why."""

    steps: int
    learning_rate: float
    warmup_steps: int
    augmentation: str
    why: str


def choose(p: Parameters, triplets: int, faces: int, *, accelerated: bool) -> Chosen:
    """What to do with ``triplets`` of ``faces`` different faces; what ``p`` says counts."""
    small = faces <= FEW_FACES
    epoch = -(-triplets // p.batch_size)
    if p.steps:
        steps = p.steps
    elif p.epochs:
        steps = max(1, round(p.epochs * triplets / p.batch_size))
    elif small:
        steps = SMALL_SET_STEPS
    else:
        steps = max(LEAST_STEPS, round(EPOCHS * epoch))
        if not accelerated:
            steps = min(steps, max(CPU_STEPS, epoch))
    augmentation = p.augmentation
    if augmentation == AUTO:
        augmentation = "strong" if small and steps >= STRONG_FROM else "light"
    fast = not small and steps >= 10 * WARMUP
    rate = p.learning_rate or (HIGH_RATE if fast else LOW_RATE)
    warmup = p.warmup_steps if p.warmup_steps >= 0 else WARMUP if rate > LOW_RATE and steps >= 10 * WARMUP else 0
    size = "over-fits" if small else "under-fits"
    many = "at most" if small else "more than"
    why = f"{triplets:,} triplets of {faces:,} faces ({many} {FEW_FACES:,}: a set that a network {size})"
    return Chosen(steps, rate, min(warmup, steps - 1), augmentation, why)
