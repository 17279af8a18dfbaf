"""What a finished run has to show for itself, read from what the steps put into the storage root."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from components.evaluate.accuracy import CHANCE, Score
from components.summarize.work import split_statuses
from fec import layout
from fec.funnel import STAGES, WHOLE, Funnel, read_funnel
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.storage import open_storage

ACCURACY: Final = ("overall", "one_class", "two_class", "three_class")


@dataclass(frozen=True)
class Summary:
    """A finished run: the funnel by split, the share of eval triplets it gets right, and where to look.

    ``pixel_baseline``: the eval triplets that
    comparing pixels alone, without any model, gets right. ``report`` and ``model`` are full paths
    or URLs; ``seconds`` is the wall clock of this run alone.
    """

    root: str
    funnels: Mapping[str, Funnel]
    triplet_accuracy: Mapping[str, float | None]
    pixel_baseline: Score
    report: str
    model: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The object that ``fec run --json`` ends with."""
        return {
            "root": self.root,
            "funnel": {split: funnel.stages for split, funnel in self.funnels.items()},
            "triplet_accuracy": dict(self.triplet_accuracy),
            "report": self.report,
            "model": self.model,
            "seconds": round(self.seconds, 3),
        }

    def as_text(self) -> str:
        """The same for a person: the funnel as a table, what was lost and why, the accuracy, where to look."""
        funnels = self.funnels.values()
        lines = ["", _row("", self.funnels)]
        lines += [_row(name.replace("_", " "), [_count(funnel.stages, name) for funnel in funnels]) for name in STAGES]
        archived = [funnel.outcomes.archived for funnel in funnels]
        lines += [_row("from an archive", map("{:,}".format, archived))] if any(archived) else []
        lines += _lost("images", [funnel.outcomes.images for funnel in funnels], ImageOutcome.FETCHED)
        lines += _lost("faces", [funnel.outcomes.faces for funnel in funnels], FaceOutcome.OK)
        accuracy = [f"{name.replace('_', ' ')} {_percent(value)}" for name, value in self.triplet_accuracy.items()]
        pixels = self.pixel_baseline
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
    return Summary(
        root=storage.root,
        funnels={split: read_funnel(storage, split) for split in layout.SPLITS},
        triplet_accuracy={name: metrics["triplet_accuracy"][name] for name in ACCURACY},
        pixel_baseline=Score(
            round((metrics["by_pixels"] or 0) * evaluated), evaluated, metrics["by_pixels_interval_95"]
        ),
        report=f"{storage.root}/{layout.report_dir(run)}/report.html",
        model=f"{storage.root}/{layout.model_dir(run)}/model.keras",
        seconds=seconds,
    )


def so_far(root: str, until: str, *, as_json: bool, seconds: float) -> str:
    """What a run that was to stop at the stage ``until`` has reached: the funnel so far, and what was lost."""
    storage = open_storage(root)
    splits = split_statuses(storage)
    if as_json:
        shown = {split: {"funnel": dict(found.funnel), "lost": dict(found.lost)} for split, found in splits.items()}
        return json.dumps({"root": storage.root, "until": until, "splits": shown, "seconds": round(seconds, 3)})
    lines = ["", _row("", splits)]
    for kind in ("funnel", "lost"):
        found = [getattr(status, kind) for status in splits.values()]
        names = dict.fromkeys(name for counts in found for name in counts)
        lines += [_row(name.replace("_", " "), [_known(counts.get(name)) for counts in found]) for name in names]
    return "\n".join([*lines, "", f"stopped after {until}, as asked; {seconds:.1f} s"])


def _known(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else "" if count is None else str(count)


def _lost(kind: str, counted: Sequence[Mapping[str, int]], good: str) -> list[str]:
    """How many of each split came to each outcome but the good one."""
    names = {name for counts in counted for name in counts} - {good}
    return (["", f"{kind} lost"] if names else []) + [
        _row("  " + name.replace("_", " "), [f"{counts.get(name, 0):,}" for counts in counted])
        + ("  (tried again later)" * _passing(name))
        for name in sorted(names)
    ]


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:<24}" + "".join(f"{cell:>16}" for cell in cells)


def _count(counts: Mapping[str, int], name: str) -> str:
    whole = counts[WHOLE[name]] if name in WHOLE else 0
    return f"{counts[name]:,}" + (f" ({counts[name] / whole:.0%})" if whole else "")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _passing(name: str) -> bool:
    return name in set(ImageOutcome) and ImageOutcome(name).transient
