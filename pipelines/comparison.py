"""Two runs of one root, triplet by triplet, from the embeddings that evaluate stored of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from components.evaluate.accuracy import TYPES, EvalTriplet, odd_ones_out
from components.evaluate.paired import Comparison, compared
from components.evaluate.raters import by_agreement
from fec import layout, tables
from fec.done import read_done
from fec.embeddings import read_embeddings
from fec.errors import ConfigurationError
from fec.layout import EVAL
from fec.rows import CollectedTriplet
from fec.storage import Storage

_NAMES: Final = {
    "overall": "all triplets",
    "one_class": "one-class",
    "two_class": "two-class",
    "three_class": "three-class",
    "all_votes": "all votes agree",
    "four_fifths": "at least four fifths",
    "fewer": "fewer agree",
}


@dataclass(frozen=True)
class RunsCompared:
    """The names of two runs, and how they compare on ``overall``, each type and each agreement."""

    first: str
    second: str
    groups: Mapping[str, Comparison]


def compare_runs(storage: Storage, first: str, second: str) -> RunsCompared:
    """How the answers of two runs compare on the eval triplets of the root.

    Raises ConfigurationError for a run that was not evaluated, or was on other triplets than the root has now.
    """
    collected = read_done(storage, layout.collect_dir(EVAL))
    if collected is None:
        raise ConfigurationError(f"{storage.root} has no eval triplets: no run can have been evaluated on it")
    for run in (first, second):
        done = read_done(storage, layout.report_dir(run))
        if done is None or done.details.get("collected") != collected.digest:
            why = "was not evaluated" if done is None else "was evaluated on other triplets than the root has now"
            raise ConfigurationError(
                f"run {run!r} {why}: python -m components.evaluate --root {storage.root} --run {run}"
            )
    rows = tables.read_rows(storage, f"{layout.collect_dir(EVAL)}/triplets.parquet", CollectedTriplet)
    triplets = [EvalTriplet(row.faces, row.odd_one_out, row.type, tuple(row.votes)) for row in rows]
    right, photographs = {}, {}
    for run in (first, second):
        found = read_embeddings(storage, run).of_split(EVAL)
        photographs = dict(zip(found.face_ids, found.image_ids, strict=True))
        answers = odd_ones_out(triplets, dict(zip(found.face_ids, found.vectors, strict=True)))
        right[run] = np.array([a == t.odd_one_out for a, t in zip(answers, triplets, strict=True)], dtype=bool)
    types = np.array([triplet.type for triplet in triplets], dtype=int)
    groups = {"overall": np.ones(len(types), dtype=bool)} | {name: types == kind for kind, name in TYPES.items()}
    shown = [[photographs[face] for face in triplet.faces] for triplet in triplets]
    return RunsCompared(first, second, compared(right[first], right[second], groups | by_agreement(triplets), shown))


def as_json(found: RunsCompared) -> dict[str, Any]:
    """The same as JSON can carry it; groups without triplets are left out."""
    return {
        "runs": [found.first, found.second],
        "groups": {
            name: {
                "triplets": one.count,
                "accuracy": _accuracies(one),
                "difference": one.difference,
                "interval_95": one.interval,
                "differs": one.differs,
                "right": {"both": one.both, "only_first": one.first, "only_second": one.second, "neither": one.neither},
            }
            for name, one in found.groups.items()
            if one.count
        },
    }


def as_text(found: RunsCompared) -> str:
    """A table, and one sentence on what it comes to."""
    lines = [f"first:  {found.first}", f"second: {found.second}", "", _row(("", *_HEAD))]
    for name, one in found.groups.items():
        if one.count and one.interval is not None and one.difference is not None:
            a, b = _accuracies(one)
            low, high = one.interval
            rates = (f"{a:.1%}", f"{b:.1%}", f"{100 * one.difference:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}")
            lines.append(_row((_NAMES[name], f"{one.count:,}", *rates, f"{one.first:,}", f"{one.second:,}")))
    return "\n".join([*lines, "", _verdict(found.groups["overall"])])


_HEAD: Final = ("triplets", "first", "second", "points", "95 % interval", "only first", "only second")


def _row(cells: Sequence[str]) -> str:
    wide = (22, 10, 8, 8, 8, 16, 12, 13)
    return cells[0].ljust(wide[0]) + "".join(cell.rjust(width) for cell, width in zip(cells[1:], wide[1:], strict=True))


def _verdict(overall: Comparison) -> str:
    if overall.interval is None:
        return "There are no eval triplets."
    if not overall.differs:
        return "No difference that is more than luck: nought lies within the interval (bootstrap over photographs)."
    better = "second" if overall.second > overall.first else "first"
    return (
        f"The {better} is better by more than luck: nought lies outside of the interval (bootstrap over photographs)."
    )


def _accuracies(one: Comparison) -> tuple[float, float]:
    return (one.both + one.first) / one.count, (one.both + one.second) / one.count
