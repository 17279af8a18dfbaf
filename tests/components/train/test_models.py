"""What the networks make of faces, before they have learned anything."""

import numpy as np
import pytest

from components.train import models
from components.train.models import Shape

SIDE = 16


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_light_and_contrast_of_a_photograph_change_nothing(name: str) -> None:
    network = models.network_of(name, Shape(SIDE))
    faces = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)
    away = faces - faces.mean((1, 2, 3), keepdims=True)
    darker = 60 + away * 0.4
    assert darker.min() >= 0
    assert np.allclose(network(faces), network(darker), atol=0.02)
    assert not np.allclose(network(faces), network(faces[::-1]), atol=0.02)


def test_a_face_of_one_colour_is_a_place_as_any_other() -> None:
    point = np.asarray(models.network_of("tiny", Shape(SIDE))(np.full((1, SIDE, SIDE, 3), 7, np.float32)))
    assert np.isfinite(point).all()
