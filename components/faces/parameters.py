"""What can be asked of the faces step."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from fec.parameters import StepParameters, group, parameter, root, split

# Raise when the same parameters and originals come out differently, so that everything is made again.
VERSION: Final = 6

# Known here so that a wrong name is refused before OpenCV is imported; a test holds it against detectors/.
DETECTORS: Final = ("yunet", "faced", "none")
GROUP: Final = "fec.detectors"
CROPS: Final = ("box", "square")


def known_detectors() -> list[str]:
    """The detectors there are, those of other packages too."""
    return sorted({*DETECTORS, *(point.name for point in entry_points(group=GROUP))})


def refuse_detector(name: str) -> str:
    """What is wrong with the name of a detector, or of two as A+B; "" for a good one."""
    names = name.split("+")
    unknown = [part for part in names if part not in DETECTORS and part not in known_detectors()]
    if not unknown and len(names) <= 2:
        return ""
    near = difflib.get_close_matches(unknown[0] if unknown else name, known_detectors(), 1)
    expected = f"expected one of {', '.join(known_detectors())}, or two as yunet+faced"
    return expected + (f"; did you mean {near[0]}?" if near else "")


@dataclass(frozen=True)
class Parameters(StepParameters, step="faces", version=VERSION):
    """What a face must meet to be kept."""

    root: str = root()
    split: str = split()
    group: str = group("which shards")
    detector: str = parameter(
        "face detector: yunet, faced, none (trust the boxes), two as yunet+faced, or one that a package brings",
        default="yunet",
        refuse=refuse_detector,
        promoted=True,
    )
    min_confidence: float = parameter(
        "confidence wanted, on the detector's own scale of 0 to 1; 0: what stands for the recipe's 0.7 on that scale",
        default=0.0,
        at_least=0,
        at_most=1,
        promoted=True,
    )
    crop: str = parameter("box, or square: grown or padded on its short side", default="box", choices=CROPS)
    margin: float = parameter(
        "share of the box's width and height that the crop has more, half on each side",
        default=0.15,
        at_least=0,
        at_most=4,
    )
    max_pixels: int = parameter("pixels above which an image is not decoded", default=100_000_000, at_least=1)
    min_crop_size: int = parameter("pixels a crop must have on its shorter side", default=16, at_least=1)
    keep_rejected: bool = parameter(
        "store the crops that are rejected as well, whole, below rejected/, where no later step looks", default=False
    )
    crop_quality: int = parameter("JPEG quality of the crops", default=95, at_least=1, at_most=100)
    workers: int = parameter(
        "processes; 0: one for each core this process may use",
        default=0,
        at_least=0,
        expected="0 (one a core) or more",
        shapes_result=False,
    )
    detector_weights: str = parameter(
        "folder, or gs:// or s3:// prefix, with the weights of a detector that needs them (faced: its two files)",
        default="",
        shapes_result=False,
        promoted=True,
    )
