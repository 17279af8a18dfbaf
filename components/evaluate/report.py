"""The report: one page that needs nothing but itself. Whatever comes from outside is escaped by the template."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.evaluate import charts, repeated
from components.evaluate.about import About
from components.evaluate.accuracy import CHANCE, Score
from components.evaluate.answered import ShownTriplet
from components.evaluate.confusion import Confusion
from components.evaluate.copies import Copies
from components.evaluate.expressions import FaceMap, Query
from components.evaluate.geometry import Geometry
from components.evaluate.leaks import Excluded
from components.evaluate.losses import CLASSES, FETCHED, Example, HostLosses, Remedy
from components.evaluate.politeness import WINDOW, Times
from components.evaluate.report_data import Shared, ShownCrop
from fec.funnel import WHOLE, Funnel
from fec.history import History
from fec.layout import SPLITS, TRAIN
from fec.thresholds import Kept

# Vemulapalli & Agarwala (CVPR 2019): how often an average annotator picks the consensus on the FEC test set.
AVERAGE_RATER: Final = 0.862
# The same paper: its own network (FECNet-16d) on that set.
PAPERS_NETWORK: Final = 0.818
# Below this many triplets the 95 % interval is wider than 6 points.
FEW: Final = 1000

_STAGES: Final = (
    ("images", "images on the list"),
    ("fetched", "fetched"),
    ("faces", "faces on the list"),
    ("faces_ok", "verified"),
    ("triplets", "triplets on the list"),
    ("triplets_ok", "with three verified faces"),
    ("records", "and a consensus: records"),
)
MEANING: Final = {
    "fetched": "The original is stored.",
    "gone": "The host says it is not there (404, 410, 451).",
    "refused": "The host refuses (another 4xx): perhaps us, perhaps everybody.",
    "blocked": "In a row of refusals by a host that had given pictures, or while no host gave any.",
    "not_an_image": "Something else came, mostly a web page.",
    "undecodable": "In an encoding that nobody can undo.",
    "placeholder": "The host's stand-in for a removed photograph.",
    "too_large": "Over the size limit.",
    "invalid_url": "Not a usable http or https URL.",
    "address_not_allowed": "Not on the public internet.",
    "too_many_redirects": "Sent on and on.",
    "robots_disallowed": "The host's robots.txt does not want programs to ask for it.",
    "opted_out": "It came with X-Robots-Tag: noai or noimageai.",
    "not_asked": "The host was left alone before its turn came; the next run begins with it.",
    "no_such_host": "There is no host of that name any more; looked up again by a later run.",
    "dns_failed": "The host's name could not be looked up; tried again by a later run.",
    "connection_failed": "No connection, or it broke off; tried again by a later run.",
    "timed_out": "No whole answer in time; tried again by a later run.",
    "rate_limited": "The host asked for fewer requests; tried again by a later run.",
    "server_error": "The host's own trouble (5xx); tried again by a later run.",
    "ok": "Cropped, and a face was found where the list says.",
    "no_image": "Its image was not fetched.",
    "unreadable": "The image is broken or cut short.",
    "too_many_pixels": "Over the pixel limit.",
    "box_too_small": "Too few pixels to tell a face.",
    "no_face": "No face where the list says.",
    "low_confidence": "A face, but not as surely as asked for.",
    "face_elsewhere": "A face, but not where the list says.",
    "several_faces": "More than one face where the list says.",
    "upside_down": "A face that stands on its head.",
}
# The sections by their anchors, in order.
SECTIONS: Final = {
    "left": "What was left",
    "outcomes": "What became of each",
    "hosts": "Which hosts",
    "back": "What would bring back how many",
    "examples": "Why pictures and faces were lost",
    "threshold": "What the threshold costs",
    "copies": "Duplicates and leaks",
    "politeness": "How fast hosts were asked",
    "kept": "Some that were kept",
    "thrown-away": "Some that were thrown away",
    "map": "A map of the eval faces",
    "nearest": "Faces and those nearest to them",
    "training": "Training",
    "beside": "Beside others",
    "accuracy": "Accuracy by type and by agreement",
    "shared": "Without what train has seen",
    "confusion": "Which face is called odd",
    "geometry": "What the embedding is like",
    "mistakes": "Where the model differs most",
    "right": "Some it got right",
    "limits": "What this does not say",
    "provenance": "Where it comes from",
}
_CLASS_NAMES: Final = {
    FETCHED: "fetched",
    "final": "lost for good",
    "ours": "by an option, our network or how we present ourselves",
    "transient": "passing trouble, tried again by a later run",
    "not asked": "not asked yet",
}
_CURES: Final = {
    "later": "the same command, another day",
    "user_agent": "another network, or --set download.contact=ADDRESS, and --set download.retry=refused",
    "max_bytes": "a higher --set download.max_bytes",
    "max_redirects": "a higher --set download.max_redirects",
    "allow_network": "--allow-network, where the network is yours",
    "robots": "permission of the hosts, and --set download.robots=ignore",
    "archive": "--archive, the address of a web archive, where the terms allow it",
    "min_confidence": "a lower --min-confidence (see what the threshold costs)",
}
_NAMES: Final = {
    "overall": "all triplets",
    "one_class": "one-class",
    "two_class": "two-class",
    "three_class": "three-class",
    "all_votes": "all votes agree",
    "four_fifths": "at least four fifths agree",
    "fewer": "fewer agree",
}


@dataclass(frozen=True)
class Losses:
    """What was lost by host, examples by outcome, and what would bring back how many."""

    hosts: Sequence[HostLosses]
    examples: Mapping[str, Sequence[Example]]
    remedies: Sequence[Remedy]


@dataclass(frozen=True)
class Content:
    """All that the page tells; ``pixel_baseline`` is the score of comparing eval faces' pixels, without any model."""

    run: str
    funnels: Mapping[str, Funnel]
    scores: Mapping[str, Score]
    by_agreement: Mapping[str, Score]
    raters: Mapping[str, Score]
    pixel_baseline: Score
    without: Mapping[str, Score]
    excluded: Excluded | None
    confusions: Mapping[str, Confusion]
    geometry: Geometry
    shared: Shared
    about: About
    losses: Losses
    thresholds: Mapping[str, Kept]
    copies: Sequence[Copies]
    times: Times
    accepted: Sequence[ShownCrop]
    rejected: Sequence[ShownCrop]
    face_map: FaceMap
    queries: Sequence[Query]
    mistakes: Sequence[ShownTriplet]
    some_right: Sequence[ShownTriplet]
    history: History
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class _Stage:
    """A step of the funnel: how many are left, and which share of the whole it is a part of."""

    label: str
    count: int
    share: float
    is_part: bool


@dataclass(frozen=True)
class _Outcome:
    """How often an outcome is met, by split."""

    name: str
    counts: tuple[int, ...]
    meaning: str


def page(content: Content) -> str:
    """The report as HTML; the same content gives the same text."""
    score, pixel_baseline = content.scores["overall"], content.pixel_baseline
    outcomes = [content.funnels[split].outcomes for split in SPLITS]
    values = {field.name: getattr(content, field.name) for field in fields(content)}
    leaks = content.funnels[TRAIN].leaks
    template = _environment().get_template("page.html")
    return template.render(
        values,
        sections=SECTIONS,
        splits=SPLITS,
        score=score,
        answered_pixel_baseline=pixel_baseline.accuracy is not None and pixel_baseline.above_chance,
        few=score.count < FEW,
        leaked=content.shared.faces > 0 and content.excluded is None,
        looks_leaked=leaks is not None and leaks.faces > 0 and not leaks.dropped,
        repeated_kinds=repeated.KINDS,
        repeated_count=repeated.count,
        chance=CHANCE,
        average_rater=AVERAGE_RATER,
        papers_network=PAPERS_NETWORK,
        series=_series,
        accuracy_guides={"chance": CHANCE} | ({} if score.accuracy is None else {"eval, at the end": score.accuracy}),
        active_guides={} if content.geometry.active is None else {"eval, at the end": content.geometry.active},
        dimension_guides=_dimension_guides(content),
        stages={split: _stages(content.funnels[split]) for split in SPLITS},
        archived=[one.archived for one in outcomes],
        outcomes={
            "Images": _outcomes([one.images for one in outcomes]),
            "Faces": _outcomes([one.faces for one in outcomes]),
        },
        names=_NAMES,
        meaning=MEANING,
        classes=CLASSES,
        class_names=_CLASS_NAMES,
        cures=_CURES,
        window=WINDOW,
        charts=charts,
    )


def _series(name: str, steps: Sequence[int], values: Sequence[float]) -> charts.Series:
    """A curve at the last of ``steps``: earlier versions of training did not record all of them from the start."""
    return charts.Series(name, steps[len(steps) - len(values) :], values)


def _dimension_guides(content: Content) -> dict[str, float]:
    """Eval's effective dimensions, where training measured some to be set beside them."""
    found = content.geometry.dimensions
    return {} if found is None or not content.history.held_out_dimensions else {"eval, at the end": found}


def _environment() -> Environment:
    """That of the template: everything is escaped but what charts draw, and a name it does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "percent": _percent,
        "whole_percent": "{:.0%}".format,
        "data": _data,
        "duration": _duration,
    }
    return environment


def _percent(share: float | None, absent: str = "") -> str:
    return absent if share is None else f"{share:.1%}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _stages(funnel: Funnel) -> list[_Stage]:
    stages = []
    for key, label in _STAGES:
        count, of = funnel.stages[key], WHOLE.get(key)
        whole = funnel.stages[of] if of else count
        stages.append(_Stage(label, count, count / whole if whole else 0.0, is_part=of is not None))
    return stages


def _outcomes(counted: Sequence[Mapping[str, int]]) -> list[_Outcome]:
    """Those of images or of faces, ``counted`` by split; the most frequent first."""
    names = {name for counts in counted for name in counts}
    found = [_Outcome(name, tuple(counts.get(name, 0) for counts in counted), MEANING.get(name, "")) for name in names]
    return sorted(found, key=lambda outcome: (-sum(outcome.counts), outcome.name))


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
