"""What a detector is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fec.boxes import Box

if TYPE_CHECKING:
    from fec.pixels import RGB


@dataclass(frozen=True)
class Found:
    """A face a detector found: fractions of the searched picture, and 0..1 on the detector's own scale."""

    box: Box
    confidence: float


class Detector(Protocol):
    """Finds faces; one instance serves one thread."""

    name: str

    def find(self, rgb: RGB) -> list[Found]:
        """Every face in ``rgb`` (height, width, 3; red first), also doubtful ones, in no set order."""
