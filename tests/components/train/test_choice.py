"""What a training does by itself follows from the size of the set and the device; what it was told counts."""

from __future__ import annotations

from typing import Any

import pytest

from components.train.choice import choose
from components.train.parameters import Parameters


@pytest.mark.parametrize(
    ("told", "triplets", "faces", "size", "accelerated", "expected"),
    [
        ({}, 60_000, 780, 32, False, (3_500, 1e-3, 0, "strong")),  # as CK+
        ({}, 60_000, 780, 64, False, (3_500, 1e-3, 0, "strong")),  # four times the pixels
        ({}, 60_000, 780, 64, True, (3_500, 1e-3, 0, "strong")),
        ({"batch_size": 40}, 60_000, 780, 32, False, (3_500, 1e-3, 0, "strong")),
        ({}, 20_000, 25_000, 32, False, (6_670, 3e-3, 50, "light")),  # as FER2013
        ({}, 20_000, 25_000, 64, False, (4_000, 3e-3, 50, "light")),
        ({}, 500_000, 156_000, 64, False, (16_667, 3e-3, 50, "light")),  # FEC on a CPU: each triplet once at least
        ({}, 500_000, 156_000, 64, True, (166_670, 3e-3, 50, "light")),
        ({"steps": 100}, 60_000, 780, 32, False, (100, 1e-3, 0, "light")),
        ({"epochs": 2.0}, 30_000, 25_000, 64, False, (2_000, 3e-3, 50, "light")),
        ({"augmentation": "none", "learning_rate": 0.01}, 300, 200, 32, False, (3_500, 0.01, 50, "none")),
        ({"steps": 1, "warmup_steps": 50}, 300, 200, 32, False, (1, 1e-3, 0, "light")),
    ],
)
def test_choices(
    told: dict[str, Any], triplets: int, faces: int, size: int, accelerated: bool, expected: tuple[Any, ...]
) -> None:
    chosen = choose(Parameters(root="", **told), triplets, faces, size, accelerated=accelerated)
    assert (chosen.steps, chosen.learning_rate, chosen.warmup_steps, chosen.augmentation) == expected


@pytest.mark.parametrize(
    ("told", "faces", "expected"),
    [
        ({}, 780, 500),
        ({"steps": 1_500}, 780, 300),  # a fifth
        ({"steps": 1_000}, 780, 0),  # light
        ({}, 25_000, 0),  # light
        ({"augmentation": "strong"}, 25_000, 500),
        ({"augmentation_rise": 0}, 780, 0),
        ({"augmentation_rise": 900}, 780, 900),
    ],
)
def test_strong_augmentation_rises_from_light(told: dict[str, Any], faces: int, expected: int) -> None:
    chosen = choose(Parameters(root="", **told), 60_000, faces, 32, accelerated=False)
    assert chosen.augmentation_rise == expected


def test_it_says_why_and_what_it_costs() -> None:
    chosen = choose(Parameters(root=""), 60_000, 780, 32, accelerated=False)
    assert chosen.why == "60,000 triplets of 780 faces (at most 6,000: a set that a network over-fits)"
    assert chosen.pixels == 3_500 * 30 * 3 * 32 * 32
