"""What can be asked of the datagen step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.parameters import StepParameters, group, parameter, root, split
from fec.presets import PRESETS
from fec.record_families import LAYOUTS

# Raise when the same triplets and crops would give other records.
VERSION: Final = 1


@dataclass(frozen=True)
class Parameters(StepParameters, step="datagen", version=VERSION):
    """What the records depend on."""

    root: str = root()
    split: str = split()
    group: str = group("the record shards to write")
    image_size: int = parameter(
        "side of the square faces in the records, pixels",
        default=64,
        at_least=8,
        at_most=1024,
        promoted=True,
    )
    jpeg_quality: int = parameter("of the faces in the records", default=90, at_least=1, at_most=100)
    # Each of a layout's files is fingerprinted by its kind; the layout only says which files there are.
    layout: str = parameter(
        "triplets: each example holds its faces; faces: each face once, triplets as ids; or both",
        default="triplets",
        choices=tuple(LAYOUTS),
        shapes_result=False,
    )
    preset: str = parameter(
        f"{' or '.join(PRESETS)}: all triplets, or a sample", default="fec_base", choices=tuple(PRESETS)
    )
    workers: int = parameter(
        "threads that encode faces; 0: one a core, more for a bucket",
        default=0,
        at_least=0,
        at_most=256,
        expected="0 (by the cores) to 256",
        shapes_result=False,
    )
