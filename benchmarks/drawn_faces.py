"""Drawn faces in class folders, to try training on where no data set lies: python benchmarks/drawn_faces.py DIR.

Who somebody is (shape, skin, hair, eyes, background) changes more pixels than the expression does (brows, lids,
mouth), as in photographs. Two regimes: some hundred clean pictures of 118 people, on which a network over-fits; with
``--many``, thousands of noisy ones, each of another person and some wrongly labelled, on which a small one under-fits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE: Final = 48
# Drawn at this many times the size, then made small: lines are thinner than a pixel.
_SCALE: Final = 4
# By name: corners of the mouth up (+) or down, its opening, inner ends of the brows down (+) or up, brows raised,
# lids open.
EXPRESSIONS: Final[dict[str, tuple[float, float, float, float, float]]] = {
    "anger": (-0.3, 0.0, 0.9, -0.3, 0.8),
    "contempt": (0.25, 0.0, 0.2, 0.0, 0.8),
    "disgust": (-0.5, 0.3, 0.5, -0.4, 0.4),
    "fear": (-0.2, 0.5, -0.6, 0.6, 1.3),
    "happy": (1.0, 0.4, 0.0, 0.1, 0.7),
    "sadness": (-0.8, 0.0, -0.8, 0.0, 0.6),
    "surprise": (0.0, 1.2, -0.2, 1.0, 1.5),
}


@dataclass(frozen=True)
class Regime:
    """How many people, pictures of each, and how much the pictures differ: noise in grey levels, jitter as a share."""

    people: int
    pictures: int
    noise: float
    jitter: float
    mislabelled: float


FEW: Final = Regime(people=118, pictures=8, noise=6, jitter=0.4, mislabelled=0.0)
MANY: Final = Regime(people=28_000, pictures=1, noise=18, jitter=1.0, mislabelled=0.15)


def drawn_face(person: int, expression: str, chance: np.random.Generator, regime: Regime) -> NDArray[np.uint8]:
    """A grey face, uint8 [SIZE, SIZE], of ``person`` with ``expression`` shown more or less strongly."""
    own = np.random.default_rng([7, person])
    smile, opening, frown, raised, lids = np.array(EXPRESSIONS[expression]) * chance.uniform(0.5, 1.1)
    lids = 0.8 + (lids - 0.8) * chance.uniform(0.5, 1.0)
    side = SIZE * _SCALE
    unit = side / 100
    skin, hair, back = own.uniform(90, 220), own.uniform(10, 120), own.uniform(20, 235)
    face = np.full((side, side), back, np.float32)

    def at(x: float, y: float) -> tuple[int, int]:
        return round((50 + x) * unit), round((50 + y) * unit)

    def line(points: list[tuple[float, float]], shade: float, width: float) -> None:
        places = np.array([at(x, y) for x, y in points], np.int32)
        cv2.polylines(face, [places], False, shade, max(1, round(width * unit)), cv2.LINE_AA)

    def disc(x: float, y: float, wide: float, high: float, shade: float) -> None:
        cv2.ellipse(face, at(x, y), (round(wide * unit), round(high * unit)), 0, 0, 360, shade, -1, cv2.LINE_AA)

    wide, high = own.uniform(30, 40), own.uniform(38, 46)
    disc(0, -8, wide + own.uniform(1, 6), high + own.uniform(1, 6), hair)
    disc(0, own.uniform(2, 8), wide, high, skin)
    apart, eye, level = own.uniform(13, 19), own.uniform(4.5, 7), own.uniform(-14, -8)
    dark, brow = skin * own.uniform(0.15, 0.4), own.uniform(1.5, 4)
    for sign in (-1, 1):
        disc(sign * apart, level, eye, max(0.6, 0.55 * eye * lids), min(255.0, skin * 1.25 + 20))
        disc(sign * apart, level, eye * 0.42, min(eye * 0.42, max(0.6, 0.55 * eye * lids)), dark)
        top = level - own.uniform(8, 9) - 4 * raised
        line([(sign * (apart - 7), top + 3.5 * frown), (sign * (apart + 7), top - 1.5 * frown)], dark, brow)
    line([(0, level + 5), (own.uniform(2, 5), 9), (-1, 10)], skin * 0.7, own.uniform(1, 2.5))
    mouth, lip, low = own.uniform(10, 16), own.uniform(1.2, 3), own.uniform(21, 26)
    curve = [(x * mouth, low - 6 * smile * (x * x - 0.4)) for x in np.linspace(-1, 1, 13)]
    lower = [(x, y + 9 * max(0.0, opening) * (1 - (x / mouth) ** 2)) for x, y in curve]
    cv2.fillPoly(face, [np.array([at(x, y) for x, y in curve + lower[::-1]], np.int32)], dark * 0.6, cv2.LINE_AA)
    line(curve, dark, lip)
    line(lower, dark, lip)
    return _photographed(face, chance, regime)


def _photographed(face: NDArray[np.float32], chance: np.random.Generator, regime: Regime) -> NDArray[np.uint8]:
    """The face somewhat turned, shifted and nearer or farther, in some light, small and with noise."""
    side = face.shape[0]
    jitter = regime.jitter
    turn = cv2.getRotationMatrix2D(
        (side / 2, side / 2), chance.normal(0, 8 * jitter), 1 + chance.normal(0, 0.1 * jitter)
    )
    turn = np.asarray(turn) + np.outer(chance.normal(0, 0.05 * jitter * side, 2), [0, 0, 1])
    moved = cv2.warpAffine(face, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(moved, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    ramp = np.linspace(-1, 1, SIZE)
    light = 1 + 0.3 * jitter * (chance.normal() * ramp[None, :] + chance.normal() * ramp[:, None])
    noisy = small * light * chance.uniform(1 - 0.3 * jitter, 1 + 0.2 * jitter)
    noisy = noisy + chance.normal(0, regime.noise, noisy.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def write_faces(folder: Path, regime: Regime, seed: int = 0) -> int:
    """Write the pictures of ``regime`` into a folder an expression, named S<person>_<number>.png; how many."""
    chance = np.random.default_rng(seed)
    names = sorted(EXPRESSIONS)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for person in range(regime.people):
        for number in range(regime.pictures):
            shown = names[chance.integers(len(names))]
            label = names[chance.integers(len(names))] if chance.random() < regime.mislabelled else shown
            pixels: Any = drawn_face(person, shown, chance, regime)
            cv2.imwrite(str(folder / label / f"S{person:05d}_{number}.png"), pixels)
    return regime.people * regime.pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--many", action="store_true", help="the regime of many noisy pictures; else few clean ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count = write_faces(options.folder, MANY if options.many else FEW, options.seed)
    print(f"{count:,} pictures in {options.folder}; the subject is ^(S[0-9]+)_")


if __name__ == "__main__":
    main()
