"""What the curves of a training say of it."""

import pytest

from fec.history import History


@pytest.mark.parametrize(
    ("step", "active", "accuracy", "stands"),
    [
        (2500, 1.0, 0.3, True),
        (2500, 1.0, 0.0, True),
        (100, 1.0, 0.3, False),  # it has only begun
        (2500, 0.9, 0.35, False),  # hard, but spread
        (2500, 0.99, 0.6, False),
    ],
)
def test_a_training_that_stands_where_it_began(step: int, active: float, accuracy: float, stands: bool) -> None:
    assert History([50, step], [0.5, 0.4], [0.5, accuracy], [0.5, active]).stands_still is stands


def test_curves_of_nothing_stand_nowhere() -> None:
    assert not History().stands_still
