"""What a detector is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fec.boxes import Box

if TYPE_CHECKING:
    from fec.pixels import RGB


@dataclass(frozen=True)
class Found:
    """A face a detector found: fractions of the searched picture, and 0..1 on the detector's own scale.

    ``landmarks``, where it finds them: the eyes (the one on the picture's left first), the tip of the nose, the
    corners of the mouth, each x and y.
    """

    box: Box
    confidence: float
    landmarks: tuple[tuple[float, float], ...] = ()


class Detector(Protocol):
    """Finds faces; one instance serves one thread.

    ``threshold`` is the confidence that stands for the published recipe's 0.7. ``licence`` is that of its weights,
    ``input_side`` the pixels its network sees, ``milliseconds`` what a crop of 250 pixels costs on one core
    (None: never measured).
    """

    name: str
    threshold: float
    licence: str
    input_side: int
    milliseconds: float | None

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        """Every face in ``rgb`` (height, width, 3; red first), also doubtful ones, in no set order.

        ``expected`` is where one is said to be, in fractions of ``rgb``.
        """
