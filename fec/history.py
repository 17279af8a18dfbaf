"""How a training went, as the train step writes it and the report shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from fec import layout
from fec.storage import Storage

# Steps after which a network that learns at all has begun to; of its triplets, so many active and so many right.
LONG_ENOUGH: Final = 200
NEARLY_ALL: Final = 0.98
BY_CHANCE: Final = 0.4


@dataclass
class History:
    """The training curves: the last step of each point, mean loss and strict triplet accuracy up to it.

    ``active``: the share of triplets there that were short of their margin, from which alone the margin loss learns.
    And the steps after which held-out triplets of the train split were measured, with their accuracy and the effective
    dimensions of their faces (0 where all lie on one point); trainings of earlier versions have none of those.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    triplet_accuracy: list[float] = field(default_factory=list)
    active: list[float] = field(default_factory=list)
    held_out_steps: list[int] = field(default_factory=list)
    held_out_accuracy: list[float] = field(default_factory=list)
    held_out_dimensions: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The step of the best held-out accuracy, the first of equal ones; 0 without any."""
        if not self.held_out_accuracy:
            return 0
        return self.held_out_steps[self.held_out_accuracy.index(max(self.held_out_accuracy))]

    @property
    def stands_still(self) -> bool:
        """Whether it has worked long enough and learned nothing: all triplets are short of their margin at its end, and
        few more are right than by chance. So it is where all faces lie on one point, where the loss has no slope."""
        return bool(
            self.steps
            and self.steps[-1] >= LONG_ENOUGH
            and self.active[-1] > NEARLY_ALL
            and self.triplet_accuracy[-1] < BY_CHANCE
        )

    def to_bytes(self) -> bytes:
        """The content of ``history.json``."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def read_history(storage: Storage, run: str) -> History:
    """The curves of a run."""
    return History(**json.loads(storage.read(f"{layout.model_dir(run)}/history.json")))
