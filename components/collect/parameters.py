"""What can be asked of the collect step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.layout import MAX_GROUPS, MAX_RECORD_GROUPS
from fec.parameters import SEEDS, StepParameters, parameter, root, split
from fec.presets import PRESETS

# Raise when the same manifests would give other triplets, or give them in another order.
VERSION: Final = 3

# PDQ's recommendation for its 256 bits (facebook/ThreatExchange, hashing/pdq); held against photographs by
# benchmarks/likeness.py.
MOST_ALIKE: Final = 31


@dataclass(frozen=True)
class Parameters(StepParameters, step="collect", version=VERSION):
    """What the collection depends on."""

    root: str = root()
    split: str = split()
    seed: int = parameter(
        "of the shuffle: another seed, another order of the same triplets", default=0, promoted=True, **SEEDS
    )
    triplets_per_record_shard: int = parameter("triplets in one TFRecord file, about", default=5000, at_least=1)
    record_shards: int = parameter(
        "TFRecord files; 0: as many as the former asks for",
        default=0,
        at_least=0,
        expected="0 (by triplets_per_record_shard) or more",
    )
    # What the list says is in the fingerprint, not where it lies.
    subset: str = parameter(
        "list of fec subset (a file, gs:// or s3://): only its triplets are kept", default="", shapes_result=False
    )
    drop_leaks: bool = parameter(
        "leave out of train the faces that eval has as well: the same bytes, or nearly the same to look at",
        default=False,
    )
    alike: int = parameter(
        "bits, of the 256 that stand for how a picture looks, in which the same picture may differ",
        default=MOST_ALIKE,
        at_least=0,
        at_most=MOST_ALIKE,
    )
    max_groups: int = parameter(
        f"groups of record shards at the most; there are never more than {MAX_RECORD_GROUPS}",
        default=66,
        at_least=1,
        at_most=MAX_GROUPS,
        shapes_result=False,
        promoted=True,
    )
    preset: str = parameter(
        f"whose record shards the groups are of: {', '.join(PRESETS)}",
        default="fec_base",
        choices=tuple(PRESETS),
        shapes_result=False,
    )
