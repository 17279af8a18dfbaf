"""Odd-one-out triplets from labelled pictures, such that who is on them does not give the answer away.

The similar pair is of one class and always of two people; about every second odd face is of another class but of one of
the two people, so that pixels and identity mislead.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError
from pipelines.folders.pictures import Picture

# Of the odd faces, those meant to be of somebody in the pair.
SAME_PERSON: Final = 0.5
# Draws in vain, one after the other, that mean that there are no more different triplets.
_IN_VAIN: Final = 1000


@dataclass(frozen=True)
class DrawnTriplet:
    """Three pictures in the order in which they are shown, and the place, 1..3, of the odd one.

    ``votes``: whom the raters name, where they do not all name the odd one.
    """

    pictures: tuple[Picture, Picture, Picture]
    odd_one_out: int
    votes: tuple[int, ...] = ()


def drawn_triplets(pictures: Sequence[Picture], count: int, seed: int) -> list[DrawnTriplet]:
    """``count`` different triplets of ``pictures``, fewer where there are no more.

    Raises ConfigurationError if no class has pictures of two subjects, or there is only one class.
    """
    chance = random.Random(seed)  # noqa: S311 - a data set, not a secret
    by_label: dict[str, list[Picture]] = defaultdict(list)
    by_subject: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_label[picture.label].append(picture)
        by_subject[picture.subject].append(picture)
    labels = sorted(by_label)
    paired = [label for label in labels if len({picture.subject for picture in by_label[label]}) > 1]
    if not paired or len(labels) < 2:
        raise ConfigurationError(
            "no triplets can be drawn: after the split by subject each part needs two classes, one of them with "
            "pictures of two subjects"
        )
    found: dict[frozenset[Picture], DrawnTriplet] = {}
    vain = 0
    while len(found) < count and vain < _IN_VAIN:
        label = chance.choice(paired)
        one, other = chance.choice(by_label[label]), chance.choice(by_label[label])
        vain += 1
        if one.subject == other.subject:
            continue
        odd = _odd(chance, label, chance.choice((one, other)).subject, labels, by_label, by_subject)
        key = frozenset((one, other, odd))
        if key not in found:
            place = chance.randrange(3)
            a, b, c = (one, other, odd) if place == 2 else (odd, one, other) if place == 0 else (one, odd, other)
            found[key], vain = DrawnTriplet((a, b, c), place + 1), 0
    return list(found.values())


def _odd(
    chance: random.Random,
    label: str,
    subject: str,
    labels: Sequence[str],
    by_label: dict[str, list[Picture]],
    by_subject: dict[str, list[Picture]],
) -> Picture:
    """A picture of another class than ``label``: of ``subject``, if it is its turn and there is one, or of anybody."""
    if chance.random() < SAME_PERSON and (
        own := [picture for picture in by_subject[subject] if picture.label != label]
    ):
        return chance.choice(own)
    return chance.choice(by_label[chance.choice([other for other in labels if other != label])])
