"""The recipe's two sizes of the dataset: ``fec_base``, all of it, and ``fec_tiny``, a sample of it to try things on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fec import layout
from fec.errors import ConfigurationError


@dataclass(frozen=True)
class Preset:
    """A part of the collected triplets under a name of its own, which begins its files' names.

    ``max_triplets`` by split; a split that is not named is taken whole. Collected triplets lie in an order
    that a hash has shuffled, so the first of them are a fair sample.
    """

    name: str
    max_triplets: Mapping[str, int] = field(default_factory=dict)

    def triplets(self, split: str, collected: int) -> int:
        """How many of ``collected`` triplets it takes: the first ones."""
        return min(collected, self.max_triplets.get(split, collected))

    def record_shards(self, split: str, collected: int, record_shards: int) -> int:
        """Over how many record files they are spread, where all of ``collected`` go into ``record_shards``."""
        triplets = self.triplets(split, collected)
        if triplets == collected:
            return record_shards
        return -(-triplets * record_shards // collected)


BASE: Final = Preset(layout.PROBLEM)
TINY: Final = Preset("fec_tiny", {layout.TRAIN: 2000, layout.EVAL: 500})
PRESETS: Final = {preset.name: preset for preset in (BASE, TINY)}


def preset_named(name: str) -> Preset:
    """The preset; raises ConfigurationError for a name that is none."""
    if name not in PRESETS:
        raise ConfigurationError(f"preset {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def first_row(number: int, rows: int, record_shards: int) -> int:
    """The first of ``rows`` that record shard ``number`` holds; the shards' sizes differ by one at the most."""
    return -(-number * rows // record_shards)
