"""What a finished run has to show for itself, read from what the steps put into the storage root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from fec import layout
from fec.storage import open_storage

FUNNEL: Final = ("images", "fetched", "faces", "faces_ok", "triplets", "triplets_ok", "records")
ACCURACY: Final = ("overall", "one_class", "two_class", "three_class")
# What a number of the funnel is a share of.
_OF: Final = {
    "fetched": "images",
    "faces_ok": "faces",
    "triplets_ok": "triplets",
    "records": "triplets",
}


@dataclass(frozen=True)
class Summary:
    """A finished run: counts by split, the share of eval triplets it gets right, and where to look.

    ``report`` and ``model`` are full paths or URLs; ``seconds`` is the wall clock of this run alone.
    """

    root: str
    funnel: Mapping[str, Mapping[str, int]]
    triplet_accuracy: Mapping[str, float | None]
    report: str
    model: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The object that ``fec run --json`` ends with."""
        return {
            "root": self.root,
            "funnel": {split: dict(counts) for split, counts in self.funnel.items()},
            "triplet_accuracy": dict(self.triplet_accuracy),
            "report": self.report,
            "model": self.model,
            "seconds": round(self.seconds, 3),
        }

    def as_text(self) -> str:
        """The same for a person: a few lines."""
        lines = ["", f"{'':<14}" + "".join(f"{split:>18}" for split in self.funnel)]
        for name in FUNNEL:
            cells = "".join(f"{_cell(counts, name):>18}" for counts in self.funnel.values())
            lines.append(f"{name.replace('_', ' '):<14}{cells}")
        accuracy = ", ".join(
            f"{name.replace('_', ' ')} {value:.1%}" if value is not None else f"{name.replace('_', ' ')} -"
            for name, value in self.triplet_accuracy.items()
        )
        lines += ["", f"triplet accuracy on eval: {accuracy} (chance: 33.3%)"]
        lines += [f"model:  {self.model}", f"report: {self.report}", f"{self.seconds:.1f} s"]
        return "\n".join(lines)


def _cell(counts: Mapping[str, int], name: str) -> str:
    whole = counts[_OF[name]] if name in _OF else 0
    share = f" ({counts[name] / whole:.0%})" if whole else ""
    return f"{counts[name]:,}{share}"


def read(root: str, report: str, *, seconds: float) -> Summary:
    """The summary of the run that gave ``report`` (the path of report.html, below the root)."""
    storage = open_storage(root)
    run = PurePosixPath(report).parent.name
    metrics = json.loads(storage.read(f"{layout.report_dir(run)}/metrics.json"))
    funnels = {split: json.loads(storage.read(f"{layout.collect_dir(split)}/funnel.json")) for split in layout.SPLITS}
    return Summary(
        root=storage.root,
        funnel={split: {name: int(funnel[name]) for name in FUNNEL} for split, funnel in funnels.items()},
        triplet_accuracy={name: metrics["triplet_accuracy"][name] for name in ACCURACY},
        report=f"{storage.root}/{layout.report_dir(run)}/report.html",
        model=f"{storage.root}/{layout.model_dir(run)}/model.keras",
        seconds=seconds,
    )
