"""What can be asked of the faces step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.parameters import StepParameters, group, parameter, root, split

# Raise when the same parameters and originals come out differently, so that everything is made again.
VERSION: Final = 2

# Known here so that a wrong name is refused before OpenCV is imported; a test holds it against detectors/.
DETECTORS: Final = ("yunet", "faced")


@dataclass(frozen=True)
class Parameters(StepParameters, step="faces", version=VERSION):
    """What a face must meet to be kept."""

    root: str = root()
    split: str = split()
    group: str = group("which shards")
    detector: str = parameter("face detector: yunet or faced", default="yunet", choices=DETECTORS, promoted=True)
    min_confidence: float = parameter(
        "confidence wanted, on the detector's own scale of 0 to 1", default=0.7, at_least=0, at_most=1, promoted=True
    )
    max_pixels: int = parameter("pixels above which an image is not decoded", default=100_000_000, at_least=1)
    min_crop_size: int = parameter("pixels a crop must have on its shorter side", default=16, at_least=1)
    crop_quality: int = parameter("JPEG quality of the crops", default=95, at_least=1, at_most=100)
    workers: int = parameter(
        "processes; 0: one for each core this process may use",
        default=0,
        at_least=0,
        expected="0 (one a core) or more",
        shapes_result=False,
    )
    faced_weights: str = parameter(
        "folder with face_yolo.pb and face_corrector.pb, for faced", default="", shapes_result=False, promoted=True
    )
