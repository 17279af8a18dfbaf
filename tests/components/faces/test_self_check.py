"""A detector that sees faces where they are passes; one that mixes up axes, invents or breaks does not."""

from typing import Any

import pytest

from components.faces import detectors
from components.faces.detectors import Found
from components.faces.detectors.self_check import Photograph, self_check
from fec.boxes import Box
from fec.pixels import RGB
from tests.components.faces.scene import PEOPLE, SCENES, face_box, photograph

PHOTOGRAPHS = [
    *(Photograph(name, photograph(name), face_box(name)) for name in PEOPLE),
    *(Photograph(name, photograph(name), None) for name in SCENES),
]


class Wrong:
    """YuNet, with something done to what it finds."""

    name = "wrong"
    threshold = 0.7
    licence = "none"
    input_side = 160
    milliseconds: float | None = None

    def __init__(self, change: Any) -> None:
        self._yunet, self._change = detectors.load("yunet"), change

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        return list(self._change(self._yunet.find(rgb, expected)))


def transposed(found: list[Found]) -> list[Found]:
    return [Found(Box(f.box.top, f.box.bottom, f.box.left, f.box.right), f.confidence) for f in found]


def everywhere(found: list[Found]) -> list[Found]:
    return [*found, Found(Box(0.0, 0.1, 0.0, 0.1), 0.75)]


def percents(found: list[Found]) -> list[Found]:
    return [Found(f.box, 100 * f.confidence) for f in found]


def broken(found: list[Found]) -> list[Found]:
    raise ValueError("cannot reshape array of size 80 into shape (9,9)\nmore")


def test_a_detector_that_works_passes() -> None:
    lines = self_check(detectors.load("yunet"), PHOTOGRAPHS)
    assert [line.text for line in lines if not line.good] == []
    assert len(lines) == 5 * len(PEOPLE) + len(SCENES) + 1
    assert lines[0].text.startswith("astronaut, in the middle: found at 0.9")
    assert lines[-1].text.endswith("ms of CPU time a crop")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (transposed, "not where the box is"),
        (lambda found: [], "no_face: nothing found"),
        (everywhere, "cat: a face at 0.75, where there is none"),
        (percents, "which is none of 0 to 1"),
        (broken, "ValueError: cannot reshape array of size 80 into shape (9,9)"),
    ],
)
def test_a_detector_that_does_not_is_found_out(change: Any, said: str) -> None:
    bad = [line.text for line in self_check(Wrong(change), PHOTOGRAPHS) if not line.good]
    assert any(said in line for line in bad), bad
    assert not any("more" in line.split(": ")[-1] for line in bad)
