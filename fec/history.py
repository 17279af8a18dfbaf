"""How a training went, as the train step writes it and the report shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from fec import layout
from fec.storage import Storage


@dataclass
class History:
    """The training curves: the last step of each point, mean loss and strict triplet accuracy up to it."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    triplet_accuracy: list[float] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The content of ``history.json``."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def read_history(storage: Storage, run: str) -> History:
    """The curves of a run."""
    return History(**json.loads(storage.read(f"{layout.model_dir(run)}/history.json")))
