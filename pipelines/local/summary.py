"""What a finished run has to show for itself, read from what the steps put into the storage root."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from components.evaluate.accuracy import CHANCE, Score
from fec import layout
from fec.outcomes import FaceOutcome, ImageOutcome
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

    ``outcomes`` are counts by split, kind (images, faces) and outcome code. ``by_pixels``: the eval triplets that
    comparing pixels alone, without any model, gets right. ``report`` and ``model`` are full paths
    or URLs; ``seconds`` is the wall clock of this run alone.
    """

    root: str
    funnel: Mapping[str, Mapping[str, int]]
    outcomes: Mapping[str, Mapping[str, Mapping[str, int]]]
    triplet_accuracy: Mapping[str, float | None]
    by_pixels: Score
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
        """The same for a person: the funnel as a table, what was lost and why, the accuracy, where to look."""
        lines = ["", _row("", self.funnel)]
        lines += [
            _row(name.replace("_", " "), [_count(counts, name) for counts in self.funnel.values()]) for name in FUNNEL
        ]
        for kind, good in (("images", ImageOutcome.FETCHED), ("faces", FaceOutcome.OK)):
            names = {name for outcomes in self.outcomes.values() for name in outcomes[kind]} - {good}
            if names:
                lines += ["", f"{kind} lost"]
            for name in sorted(names):
                counts = [f"{outcomes[kind].get(name, 0):,}" for outcomes in self.outcomes.values()]
                lines.append(_row("  " + name.replace("_", " "), counts) + ("  (tried again later)" * _passing(name)))
        accuracy = [f"{name.replace('_', ' ')} {_percent(value)}" for name, value in self.triplet_accuracy.items()]
        pixels = self.by_pixels
        lines += ["", f"triplet accuracy on {pixels.count:,} eval triplets: {', '.join(accuracy)}"]
        lines += [f"for comparison: chance {CHANCE:.1%}, pixels alone, without a model, {_percent(pixels.accuracy)}"]
        if pixels.above_chance:
            lines += ["So much of this set can be answered without looking at an expression: the accuracy says little."]
        lines += [""]
        lines += [f"model:  {self.model}", f"report: {self.report}", f"{self.seconds:.1f} s"]
        return "\n".join(lines)


def read(root: str, report: str, *, seconds: float) -> Summary:
    """The summary of the run whose report is ``report`` (a path, ``…/reports/<run>/report.html``)."""
    storage = open_storage(root)
    run = PurePosixPath(report).parent.name
    metrics = json.loads(storage.read(f"{layout.report_dir(run)}/metrics.json"))
    evaluated = int(metrics["counts"]["overall"])
    funnels = {split: json.loads(storage.read(f"{layout.collect_dir(split)}/funnel.json")) for split in layout.SPLITS}
    return Summary(
        root=storage.root,
        funnel={split: {name: int(funnel[name]) for name in FUNNEL} for split, funnel in funnels.items()},
        outcomes={split: funnel["outcomes"] for split, funnel in funnels.items()},
        triplet_accuracy={name: metrics["triplet_accuracy"][name] for name in ACCURACY},
        by_pixels=Score(round((metrics["by_pixels"] or 0) * evaluated), evaluated),
        report=f"{storage.root}/{layout.report_dir(run)}/report.html",
        model=f"{storage.root}/{layout.model_dir(run)}/model.keras",
        seconds=seconds,
    )


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:<24}" + "".join(f"{cell:>16}" for cell in cells)


def _count(counts: Mapping[str, int], name: str) -> str:
    whole = counts[_OF[name]] if name in _OF else 0
    return f"{counts[name]:,}" + (f" ({counts[name] / whole:.0%})" if whole else "")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _passing(name: str) -> bool:
    return name in set(ImageOutcome) and ImageOutcome(name).transient
