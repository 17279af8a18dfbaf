"""The report: one page that needs nothing but itself. Whatever comes from outside is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from components.evaluate import charts
from components.evaluate.accuracy import CHANCE, Score
from components.evaluate.report_data import Shared, ShownCrop, ShownTriplet
from fec.funnel import WHOLE, Funnel
from fec.history import History
from fec.layout import SPLITS

# Vemulapalli & Agarwala (CVPR 2019): how often an average annotator picks the consensus on the FEC test set.
AVERAGE_RATER: Final = 0.862
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
_MEANING: Final = {
    "fetched": "The original is stored.",
    "gone": "The host says it is not there (404, 410, 451).",
    "refused": "The host refuses, and would again (another 4xx).",
    "not_an_image": "Something else came, mostly a web page.",
    "placeholder": "The host's stand-in for a removed photograph.",
    "too_large": "Over the size limit.",
    "invalid_url": "Not a usable http or https URL.",
    "address_not_allowed": "Not on the public internet.",
    "too_many_redirects": "Sent on and on.",
    "dns_failed": "The host's name could not be found; tried again by a later run.",
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
}
_TYPE_NAMES: Final = {
    "overall": "all triplets",
    "one_class": "one-class",
    "two_class": "two-class",
    "three_class": "three-class",
}


@dataclass(frozen=True)
class Content:
    """All that the page tells; ``pixel_baseline`` is the score of comparing the eval faces' pixels alone."""

    run: str
    funnels: Mapping[str, Funnel]
    scores: Mapping[str, Score]
    pixel_baseline: Score
    shared: Shared
    accepted: Sequence[ShownCrop]
    rejected: Sequence[ShownCrop]
    shown_triplets: tuple[Sequence[ShownTriplet], Sequence[ShownTriplet]]
    history: History
    provenance: Mapping[str, str]


def page(content: Content) -> str:
    """The report as HTML; the same content gives the same text."""
    template = Template(Path(__file__).with_name("page.html").read_text())
    sections = (_headline, _funnels, _outcomes, _crops, _training, _types, _triplets, _limits, _provenance)
    return template.substitute(run=escape(content.run), body="\n".join(section(content) for section in sections))


def _headline(content: Content) -> str:
    score = content.scores["overall"]
    low, high = score.interval
    shown, pixel_baseline = (
        "none" if s.accuracy is None else f"{s.accuracy:.1%}" for s in (score, content.pixel_baseline)
    )
    return (
        f"<h1>{escape(content.run)}</h1>"
        '<p class="quiet">Facial expression embedding, from a list of URLs to this page.</p>'
        '<div class="headline">'
        f"<div><b>{shown}</b><span>triplet accuracy on eval ({score.right:,} of {score.count:,}; "
        f"95 % interval {low:.0%} to {high:.0%})</span></div>"
        f'<div class="small"><b>{CHANCE:.1%}</b><span>chance</span></div>'
        f'<div class="small"><b>{pixel_baseline}</b><span>comparing pixels alone, same triplets</span></div>'
        f'<div class="small"><b>{AVERAGE_RATER:.1%}</b>'
        "<span>an average annotator, on the whole FEC test set only</span></div>"
        "</div>"
        f"{_caution(content)}"
    )


def _caution(content: Content) -> str:
    """What must be read before the headline is believed."""
    notes = []
    pixels, score = content.pixel_baseline, content.scores["overall"]
    if pixels.accuracy is not None and pixels.above_chance:
        notes.append(
            f"Comparing pixels alone, without any model, gets {pixels.accuracy:.1%} of these triplets right. Much of "
            "this set can be answered without looking at an expression (by who, where or in what light somebody is), "
            "so the accuracy says little about expressions."
        )
    if score.count < FEW:
        notes.append(f"Only {score.count:,} triplets were evaluated: too few to compare one model with another.")
    if not notes:
        return ""
    return f'<div class="caution"><b>Read this first.</b> {" ".join(notes)}</div>'


def _funnels(content: Content) -> str:
    cards = []
    for split in SPLITS:
        stages = content.funnels[split].stages
        rows = []
        for key, label in _STAGES:
            count, of = stages[key], WHOLE.get(key)
            whole = stages[of] if of else count
            share = count / whole if whole else 0.0
            percent = f"{share:.1%}" if of else ""
            rows.append(
                f'<tr><td>{label}</td><td class="n">{count:,}</td><td class="n">{percent}</td>'
                f'<td style="width:38%">{charts.bar(share)}</td></tr>'
            )
        cards.append(f'<div class="card"><h3>{split}</h3><table>{"".join(rows)}</table></div>')
    return f'<h2>What was left</h2><div class="columns">{"".join(cards)}</div>'


def _outcomes(content: Content) -> str:
    cards = []
    outcomes = [content.funnels[split].outcomes for split in SPLITS]
    for title, counted in (("Images", [one.images for one in outcomes]), ("Faces", [one.faces for one in outcomes])):
        names = {name for counts in counted for name in counts}
        total = {name: sum(counts.get(name, 0) for counts in counted) for name in names}
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code></td>"
            + "".join(f'<td class="n">{counts.get(name, 0):,}</td>' for counts in counted)
            + f'<td class="quiet">{escape(_MEANING.get(name, ""))}</td></tr>'
            for name in sorted(names, key=lambda name: (-total[name], name))
        )
        heads = "".join(f'<th class="n">{split}</th>' for split in SPLITS)
        cards.append(
            f'<div class="card scroll"><h3>{title}</h3><table><tr><th>outcome</th>{heads}<th></th></tr>'
            f"{rows}</table></div>"
        )
    return f'<h2>What became of each</h2><div class="columns">{"".join(cards)}</div>'


def _crops(content: Content) -> str:
    return (
        "<h2>Some that were kept</h2>"
        '<p class="quiet">With the detector&#8217;s confidence and the host. Each is the published box and 15 %.</p>'
        f'<div class="card grid-of-crops">{"".join(_crop(crop, "ok") for crop in content.accepted) or "none"}</div>'
        "<h2>Some that were thrown away</h2>"
        '<p class="quiet">What was in the box, and why it does not count as the face.</p>'
        f'<div class="card grid-of-crops">{"".join(_crop(crop, "no") for crop in content.rejected) or "none"}</div>'
    )


def _crop(crop: ShownCrop, kind: str) -> str:
    title = crop.caption if kind == "ok" else crop.outcome
    detail = "" if kind == "ok" else f"<br>{escape(crop.caption)}"
    return (
        f'<figure class="{kind}"><img src="{_data(crop.jpeg)}" alt="{escape(crop.outcome)}">'
        f'<b>{escape(title)}</b>{detail}<br><span class="quiet">{escape(crop.host)}</span></figure>'
    )


def _training(content: Content) -> str:
    history = content.history
    loss = charts.curve(history.steps, history.loss, "loss", None, None)
    accuracy = charts.curve(history.steps, history.triplet_accuracy, "triplet accuracy", 1.0, CHANCE)
    return (
        '<h2>Training</h2><div class="columns">'
        f'<div class="card"><h3>loss</h3>{loss}</div>'
        f'<div class="card"><h3>triplet accuracy of training batches (dashed: chance)</h3>{accuracy}</div></div>'
    )


def _types(content: Content) -> str:
    rows = []
    for name, score in content.scores.items():
        low, high = score.interval
        accuracy = "" if score.accuracy is None else f"{score.accuracy:.1%}"
        bounds = "" if score.accuracy is None else f"{low:.0%} to {high:.0%}"
        rows.append(
            f'<tr><td>{_TYPE_NAMES[name]}</td><td class="n">{score.right:,} of {score.count:,}</td>'
            f'<td class="n">{accuracy}</td><td class="n quiet">{bounds}</td>'
            f"<td>{charts.interval(score, CHANCE)}</td></tr>"
        )
    heads = (
        '<tr><th></th><th class="n">right</th><th class="n">accuracy</th><th class="n">95 % interval</th><th></th></tr>'
    )
    return (
        "<h2>Accuracy by type</h2><p>A triplet counts as right if the model puts the two faces the annotators found "
        "alike strictly nearer to each other than to the third. The dashed line is chance.</p>"
        f'<div class="card scroll"><table>{heads}{"".join(rows)}</table></div>'
    )


def _triplets(content: Content) -> str:
    right, wrong = content.shown_triplets
    return (
        '<h2>Some eval triplets</h2><p class="quiet">Framed: the odd one out by the annotators&#8217; consensus.</p>'
        f'<div class="columns"><div class="card"><h3>the model agrees</h3>{_shown(right)}</div>'
        f'<div class="card"><h3>the model differs</h3>{_shown(wrong)}</div></div>'
    )


def _shown(triplets: Iterable[ShownTriplet]) -> str:
    rows = []
    for triplet in triplets:
        figures = []
        for place, jpeg in enumerate(triplet.faces, start=1):
            notes = []
            if place == triplet.odd_one_out:
                notes.append("annotators")
            if place == triplet.answer:
                notes.append("model")
            kind = ' class="odd"' if place == triplet.odd_one_out else ""
            figures.append(
                f'<figure{kind}><img src="{_data(jpeg)}" alt="face {"abc"[place - 1]}">{" and ".join(notes)}</figure>'
            )
        rows.append(f'<div class="triplet">{"".join(figures)}</div>')
    return "".join(rows) or '<p class="quiet">none</p>'


def _limits(content: Content) -> str:
    shared = content.shared
    lost = [
        f"{split} kept {content.funnels[split].records:,} of {content.funnels[split].triplets:,} triplets"
        for split in SPLITS
    ]
    return (
        "<h2>What this does not say</h2>"
        f"<p>Links rot, and not at random: {' and '.join(lost)}. A number here is comparable with one from the paper "
        "only as far as what is left is like what was there.</p>"
        f"<p>The two splits share {shared.images:,} photographs and {shared.faces:,} faces. Shared photographs make "
        "eval a little easier than new ones; shared faces would make it worthless. The same photograph under two URLs, "
        "and the same person in two photographs, are not found by this.</p>"
        "<p>The average annotator was measured on the whole FEC test set. Beside a number from other triplets it is no "
        "bar that has been passed or missed.</p>"
        "<p>That a face counts as verified rests on one detector at one threshold; no person looked at them.</p>"
    )


def _provenance(content: Content) -> str:
    rows = "".join(
        f'<tr><td class="quiet">{escape(label)}</td><td><code>{escape(value)}</code></td></tr>'
        for label, value in content.provenance.items()
    )
    return f'<h2>Where it comes from</h2><div class="card scroll"><table>{rows}</table></div>'


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
