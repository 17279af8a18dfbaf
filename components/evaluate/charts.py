"""Drawings as inline SVG: bars of the funnel, training curves, accuracies with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from components.evaluate.accuracy import Score

WIDTH: Final = 420
HEIGHT: Final = 190
# A point a pixel: a training of a million steps must not make a page of megabytes.
MAX_POINTS: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34


def bar(share: float) -> str:
    """A horizontal bar, ``share`` 0..1 of its width filled."""
    percent = max(0.0, min(1.0, share)) * 100
    return f'<span class="bar"><span style="width:{percent:.2f}%"></span></span>'


def curve(steps: Sequence[int], values: Sequence[float], label: str, top: float | None, guide: float | None) -> str:
    """A line chart of ``values`` over ``steps`` from 0 to ``top`` (None: the largest value), with axes.

    ``guide`` draws a dashed line at that value.
    """
    if not steps:
        return '<p class="quiet">no points were recorded</p>'
    steps, values = _thinned(steps, values)
    highest = top if top is not None else max(max(values) * 1.1, 1e-9)
    last = max(steps)
    inner_width, inner_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(step: float) -> float:
        return _LEFT + inner_width * step / last

    def y(value: float) -> float:
        return _TOP + inner_height * (1 - min(value, highest) / highest)

    points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in zip(steps, values, strict=True))
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)} by training step">']
    for part in range(5):
        value = highest * part / 4
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for part in range(5):
        step = last * part / 4
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 19}" text-anchor="middle">{step:,.0f}</text>')
    middle = _LEFT + inner_width / 2
    parts.append(f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - 5}" text-anchor="middle">step</text>')
    if guide is not None:
        parts.append(
            f'<line class="guide" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(guide):.1f}" y2="{y(guide):.1f}"/>'
        )
    if len(steps) == 1:
        parts.append(f'<circle class="dot" cx="{x(steps[0]):.1f}" cy="{y(values[0]):.1f}" r="3"/>')
    parts.append(f'<polyline class="line" points="{points}"/></svg>')
    return "".join(parts)


def interval(score: Score, chance: float) -> str:
    """An accuracy between 0 and 1 with its 95 % interval as a whisker, and chance as a dashed line."""
    if score.accuracy is None:
        return ""
    low, high = score.interval
    width, height, pad = 240, 22, 4

    def x(value: float) -> float:
        return pad + (width - 2 * pad) * value

    return (
        f'<svg class="whisker" viewBox="0 0 {width} {height}" role="img" aria-label="95 % interval '
        f'{low:.0%} to {high:.0%}"><line class="grid" x1="{x(0):.1f}" x2="{x(1):.1f}" y1="11" y2="11"/>'
        f'<line class="guide" x1="{x(chance):.1f}" x2="{x(chance):.1f}" y1="2" y2="20"/>'
        f'<line class="span" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="11" y2="11"/>'
        f'<circle class="dot" cx="{x(score.accuracy):.1f}" cy="11" r="5"/></svg>'
    )


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
