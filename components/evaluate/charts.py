"""Drawings as inline SVG: bars of the funnel, training curves, accuracies with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from components.evaluate.accuracy import Score

WIDTH: Final = 420
HEIGHT: Final = 190
# A point a pixel: a training of a million steps must not make a page of megabytes.
MAX_POINTS: Final = 360
_WHISKER: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34


def bar(share: float) -> str:
    """A horizontal bar, ``share`` 0..1 of its width filled."""
    percent = max(0.0, min(1.0, share)) * 100
    return f'<span class="bar"><span style="width:{percent:.2f}%"></span></span>'


@dataclass(frozen=True)
class Series:
    """A line: what it is, and ``values`` over ``steps``."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


def curves(series: Sequence[Series], label: str, top: float | None, guides: Mapping[str, float]) -> str:
    """A line chart of ``series`` over their steps from 0 to ``top`` (None: the largest value), with axes.

    ``guides`` are dashed lines at values, by name. Those of several series and guides stand below.
    """
    drawn = [Series(one.name, *_thinned(one.steps, one.values)) for one in series if one.steps]
    if not drawn:
        return '<p class="quiet">no points were recorded</p>'
    highest = (
        top
        if top is not None
        else max(*(max(one.values) * 1.1 for one in drawn), *(value * 1.1 for value in guides.values()), 1e-9)
    )
    last = max(max(one.steps) for one in drawn)
    inner_width, inner_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(step: float) -> float:
        return _LEFT + inner_width * step / last

    def y(value: float) -> float:
        return _TOP + inner_height * (1 - min(value, highest) / highest)

    def across(kind: str, value: float) -> str:
        return f'<line class="{kind}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)} by training step">']
    for part in range(5):
        value = highest * part / 4
        parts.append(across("grid", value))
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for part in range(5):
        step = last * part / 4
        # The last one ends with the drawing: half of a large number would lie beyond it.
        place, anchor = (WIDTH - 1, "end") if part == 4 else (x(step), "middle")
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - 19}" text-anchor="{anchor}">{step:,.0f}</text>')
    middle = _LEFT + inner_width / 2
    parts.append(f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - 5}" text-anchor="middle">step</text>')
    for place, value in enumerate(guides.values()):
        parts.append(across(f"guide guide-{place}", value))
    for place, one in enumerate(drawn):
        points = [(x(step), y(value)) for step, value in zip(one.steps, one.values, strict=True)]
        if len(points) == 1:
            parts.append(f'<circle class="dot" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>')
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(f'<polyline class="line line-{place}" points="{line}"/>')
    return "".join(parts) + "</svg>" + _key(drawn, guides)


def _key(series: Sequence[Series], guides: Mapping[str, float]) -> str:
    """What the lines are, where that is not the drawing's title."""
    if len(series) + len(guides) < 2:
        return ""
    names = [(f"line line-{place}", one.name) for place, one in enumerate(series)]
    names += [(f"guide guide-{place}", name) for place, name in enumerate(guides)]
    items = "".join(
        f'<li><svg class="sample" viewBox="0 0 24 8" aria-hidden="true">'
        f'<line class="{kind}" x1="0" x2="24" y1="4" y2="4"/></svg>{escape(name)}</li>'
        for kind, name in names
    )
    return f'<ul class="legend">{items}</ul>'


def point(value: float, chance: float) -> str:
    """A share between 0 and 1 that is known without an interval, and chance as a dashed line."""
    return _whisker(f"{value:.1%}", chance, f'<circle class="hollow" cx="{_across(value):.1f}" cy="11" r="4.5"/>')


def interval(score: Score, chance: float) -> str:
    """An accuracy between 0 and 1 with its 95 % interval as a whisker, and chance as a dashed line."""
    if score.accuracy is None:
        return ""
    low, high = score.interval
    return _whisker(
        f"95 % interval {low:.0%} to {high:.0%}",
        chance,
        f'<line class="span" x1="{_across(low):.1f}" x2="{_across(high):.1f}" y1="11" y2="11"/>'
        f'<circle class="dot" cx="{_across(score.accuracy):.1f}" cy="11" r="5"/>',
    )


def _whisker(label: str, chance: float, drawn: str) -> str:
    low, high, guide = _across(0), _across(1), _across(chance)
    return (
        f'<svg class="whisker" viewBox="0 0 {_WHISKER} 22" role="img" aria-label="{label}">'
        f'<line class="grid" x1="{low:.1f}" x2="{high:.1f}" y1="11" y2="11"/>'
        f'<line class="guide" x1="{guide:.1f}" x2="{guide:.1f}" y1="2" y2="20"/>{drawn}</svg>'
    )


def _across(value: float) -> float:
    """Where a share lies on a whisker, which has room for a dot at both ends."""
    return 6 + (_WHISKER - 12) * value


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[list[int], list[float]]:
    """At most MAX_POINTS points: the last step of each run of points that one pixel would hold, and their mean."""
    each = -(-len(steps) // MAX_POINTS)
    starts = range(0, len(steps), each)
    return (
        [steps[min(start + each, len(steps)) - 1] for start in starts],
        [sum(values[start : start + each]) / len(values[start : start + each]) for start in starts],
    )


def _number(value: float) -> str:
    return f"{value:.3g}"
