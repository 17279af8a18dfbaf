"""What can be asked of the evaluate step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.layout import EVAL
from fec.parameters import StepParameters, parameter, root

# Raise when the same model and records would give other figures, or the report is another page.
VERSION: Final = 18

ALL: Final = "all"
NONE: Final = "none"
# What eval triplets may share with train (components.evaluate.leaks), each implying the next.
LEVELS: Final = ("faces", "photographs", "accounts")


@dataclass(frozen=True)
class Parameters(StepParameters, step="evaluate", version=VERSION):
    """What an evaluation depends on."""

    root: str = root()
    run: str = parameter("name of the trained run, as the train step gave it", shapes_result=False, promoted=True)
    batch_size: int = parameter("faces embedded at a time", default=256, at_least=1, shapes_result=False)
    embed: str = parameter(
        "whose faces' embeddings are stored: of both splits, or of eval alone", default=ALL, choices=(ALL, EVAL)
    )
    exclude_leaks: str = parameter(
        "eval triplets left out, by what they share with train", default=NONE, choices=(NONE, *LEVELS)
    )
