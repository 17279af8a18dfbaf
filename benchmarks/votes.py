"""What the losses make of raters who err: python benchmarks/votes.py.

Triplets of drawn faces (benchmarks/drawn_faces.py) are shown to simulated raters, who see what was drawn as often as a
triplet is easy, and else name any of the three faces. The consensus is what most of them name, and so is sometimes
wrong. Each loss is trained on the same votes; what is measured is the accuracy against the odd face as it was drawn,
on people that training has not seen, and against the consensus by agreement.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.drawn_faces import Regime, write_faces
from benchmarks.expression import step
from fec import layout
from fec.layout import EVAL, TRAIN
from pipelines.folders.drawing import DrawnTriplet, drawn_triplets
from pipelines.folders.pictures import pictures_of, split_by_subject
from pipelines.folders.root import RATERS, write_root

SUBJECT: Final = "^(S[0-9]+)_"
IMAGE_SIZE: Final = 32
LOSSES: Final = {
    "margin, consensus": (),
    "margin, by agreement": ("--weight-by-agreement",),
    "likelihood of all votes": ("--loss", "likelihood"),
}
# How often a rater sees what was drawn, at the least and at the most; else it names any of the three.
CAREFUL: Final = (0.2, 0.9)


def voted(triplets: Sequence[DrawnTriplet], seed: int) -> list[DrawnTriplet]:
    """``triplets`` with the votes of RATERS raters; a triplet is as hard as chance has it, for all of them."""
    chance = random.Random(seed)
    result = []
    for triplet in triplets:
        careful = chance.uniform(*CAREFUL)
        votes = [triplet.odd_one_out if chance.random() < careful else chance.randint(1, 3) for _ in range(RATERS)]
        result.append(replace(triplet, votes=tuple(votes)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--people", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--train-triplets", type=int, default=6000, help="default: %(default)s")
    parser.add_argument("--eval-triplets", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=600, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    options = parser.parse_args()
    print(f"{'loss':<26}{'seed':>8}{'as drawn':>10}{'all votes agree':>17}{'four fifths':>13}{'fewer':>8}{'raters':>8}")
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in LOSSES}
    for seed in options.seeds:
        with tempfile.TemporaryDirectory(prefix="fec-votes-") as folder:
            faces, root = Path(folder, "faces"), Path(folder, "root")
            write_faces(faces, Regime(people=options.people, pictures=8, noise=6, jitter=0.4, mislabelled=0.0))
            parts = split_by_subject(pictures_of(faces, SUBJECT), seed)
            train = voted(drawn_triplets(parts[0], options.train_triplets, seed), seed)
            # The same triplets twice: once with the raters' votes, once as they were drawn.
            held_out = drawn_triplets(parts[1], options.eval_triplets, seed)
            write_root(root, {TRAIN: train, EVAL: voted(held_out, seed + 1)}, IMAGE_SIZE)
            clean = Path(folder, "clean")
            write_root(clean, {TRAIN: train, EVAL: held_out}, IMAGE_SIZE)
            for name, words in LOSSES.items():
                rows[name].append(_figures(name, seed, words, options.steps, root, clean))
                _show(name, f"{seed}", rows[name][-1])
    _conclude(rows)


def _conclude(rows: Mapping[str, Sequence[tuple[float, ...]]]) -> None:
    """Print mean and spread over the seeds, and how far each loss is ahead of the first, seed by seed."""
    for name, of_seeds in rows.items():
        _show(name, "mean", tuple(map(statistics.mean, zip(*of_seeds, strict=True))))
        if len(of_seeds) > 1:
            _show(name, "spread", tuple(map(statistics.stdev, zip(*of_seeds, strict=True))))
    first, *others = rows
    for name in others:
        ahead = [one[0] - base[0] for one, base in zip(rows[name], rows[first], strict=True)]
        print(f"{name} less {first}, as drawn: {', '.join(f'{value:+.3f}' for value in ahead)}")


def _figures(name: str, seed: int, words: Sequence[str], steps: int, root: Path, clean: Path) -> tuple[float, ...]:
    """Train and measure: accuracy against what was drawn, against the consensus by agreement (three), the raters'."""
    run = name.replace(",", "").replace(" ", "-")
    step("train", "--root", str(root), "--run", run, "--seed", str(seed), "--steps", str(steps), *words)
    (clean / "models").mkdir(exist_ok=True)
    (root / layout.model_dir(run)).rename(clean / layout.model_dir(run))
    found = {}
    for place, other in ((clean, root), (root, clean)):
        if not (place / layout.model_dir(run)).exists():
            (other / layout.model_dir(run)).rename(place / layout.model_dir(run))
        step("evaluate", "--root", str(place), "--run", run, "--embed", EVAL)
        found[place] = json.loads((place / layout.report_dir(run) / "metrics.json").read_text())
    by = {level: value["accuracy"] for level, value in found[root]["by_agreement"].items()}
    drawn, raters = found[clean]["triplet_accuracy"]["overall"], found[root]["raters"]["overall"]["accuracy"]
    return drawn, by.get("all_votes", 0), by.get("four_fifths", 0), by.get("fewer", 0), raters


def _show(name: str, which: str, figures: tuple[float, ...]) -> None:
    cells = "".join(f"{value:>{width}.3f}" for value, width in zip(figures, (10, 17, 13, 8, 8), strict=True))
    print(f"{name:<26}{which:>8}{cells}", flush=True)


if __name__ == "__main__":
    main()
