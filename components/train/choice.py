"""What a training does where it was not told: by how many triplets and faces there are, and on what it runs.

The figures are measured (README.md): a net that sees few faces again and again over-fits and gains by strong
augmentation over many steps; one that sees many faces under-fits, loses by it, and gains by a higher learning rate and
more steps. What a step costs a CPU follows the pixels of its faces, so there the length of a large set does too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.train.parameters import AUTO, LIGHT, SHARED, STRONG, Parameters

# Up to so many faces a set counts as small.
FEW_FACES: Final = 6_000
# Steps of a small set, whatever they cost: with fewer a network is not done with faces of 64 pixels, and at 40, which
# such pictures are given, they are less than four minutes of a CPU (README.md).
SMALL_SET_STEPS: Final = 3_500
# The fewest of a large set.
LEAST_LARGE: Final = 4_000
# With fewer steps than this strong augmentation loses more than it gains.
STRONG_FROM: Final = 1_500
# Strong from the first step on, it may keep a network from ever leaving the point to which the margin loss first draws
# all faces (README.md): it rises in a fifth of the steps, at most so many.
RISE: Final = 500
EPOCHS: Final = 10.0
# Pixels of all faces of all steps of a large set, as many as in 8,000 steps of 30 triplets of 32 pixels.
LARGE_SET_PIXELS: Final = 8_000 * 30 * 3 * 32**2
LOW_RATE: Final = 1e-3
HIGH_RATE: Final = 3e-3
WARMUP: Final = 50


@dataclass(frozen=True)
class Chosen:
    """How long, how fast and on what a training learns, and why; ``pixels`` of all its faces are what it costs.

    Of all ``steps`` those after ``fine_tune_after`` are fine-tuning, at ``fine_tune_rate``.
    """

    steps: int
    learning_rate: float
    warmup_steps: int
    augmentation: str
    augmentation_rise: int
    pixels: int
    faces_per_batch: int
    fine_tune_after: int
    fine_tune_rate: float
    why: str

    @property
    def fine_tunes(self) -> bool:
        return self.fine_tune_after < self.steps


def choose(p: Parameters, triplets: int, faces: int, image_size: int, *, accelerated: bool) -> Chosen:
    """What to do with ``triplets`` of ``faces`` different faces of ``image_size`` pixels; what ``p`` says counts."""
    small = faces <= FEW_FACES
    embedded = faces_per_batch(p)
    pixels = embedded * image_size**2
    if p.steps:
        steps = p.steps
    elif p.epochs:
        steps = max(1, round(p.epochs * triplets / p.batch_size))
    else:
        steps = _length(p, triplets, small, None if accelerated else pixels)
    augmentation = p.augmentation
    if augmentation == AUTO:
        augmentation = STRONG if small and steps >= STRONG_FROM else LIGHT
    rise = 0 if augmentation != STRONG else p.augmentation_rise if p.augmentation_rise >= 0 else min(RISE, steps // 5)
    fast = not small and steps >= 10 * WARMUP
    rate = p.learning_rate or (HIGH_RATE if fast else LOW_RATE)
    warmup = p.warmup_steps if p.warmup_steps >= 0 else WARMUP if rate > LOW_RATE and steps >= 10 * WARMUP else 0
    size = "over-fits" if small else "under-fits"
    many = "at most" if small else "more than"
    why = f"{triplets:,} triplets of {faces:,} faces ({many} {FEW_FACES:,}: a set that a network {size})"
    whole = steps + p.fine_tune_steps
    return Chosen(
        steps=whole,
        learning_rate=rate,
        warmup_steps=min(warmup, steps - 1),
        augmentation=augmentation,
        augmentation_rise=rise,
        pixels=whole * pixels,
        faces_per_batch=embedded,
        fine_tune_after=steps,
        fine_tune_rate=p.fine_tune_rate or (rate / 10 if p.fine_tune_steps else 0.0),
        why=why,
    )


def faces_per_batch(p: Parameters) -> int:
    """How many faces a step embeds: three a triplet, or what shared batches are given."""
    if p.batches != SHARED:
        return 3 * p.batch_size
    return p.faces_per_batch or max(3, -(-3 * p.batch_size // 2))


def _length(p: Parameters, triplets: int, small: bool, pixels: int | None) -> int:
    """Steps of a set, where one costs ``pixels`` (None: they cost nothing); a large set is seen once at least."""
    if small:
        return SMALL_SET_STEPS
    epoch = -(-triplets // p.batch_size)
    steps = max(LEAST_LARGE, round(EPOCHS * epoch))
    return steps if pixels is None else min(steps, max(LEAST_LARGE, LARGE_SET_PIXELS // pixels, epoch))
