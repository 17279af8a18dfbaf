"""What can be asked of the plan step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.layout import MAX_GROUPS, Group
from fec.parameters import StepParameters, parameter, root, split

# Raise when the same annotations would be planned otherwise: everything is then planned again.
VERSION: Final = 1
# As many as an Indexed Job of Kubernetes has indexes.
MAX_SHARDS: Final = 100_000


def refuse_groups(number: int) -> str:
    """What is wrong with a number of groups; "" for one that the engine can hold."""
    if 1 <= number <= MAX_GROUPS:
        return ""
    return (
        f"expected 1 to {MAX_GROUPS}: the engine keeps the state of all groups in one object of 1 MiB, and a group "
        "handles several shards, in parallel"
    )


@dataclass(frozen=True)
class Parameters(StepParameters, step="plan", version=VERSION):
    """What the plan depends on."""

    root: str = root()
    split: str = split()
    # What the file says is in the fingerprint, not where it lies.
    annotations: str = parameter(
        "the FEC CSV, or FEC_dataset.zip: a path or an http(s), gs or s3 URL", shapes_result=False, promoted=True
    )
    num_shards: int = parameter("shards of the whole split", default=8, at_least=1, at_most=MAX_SHARDS, promoted=True)
    max_shards: int = parameter(
        "a trial: only as much of the split as fills this many shards; 0: all", default=0, at_least=0, promoted=True
    )
    other_shards: int = parameter(
        "shards of the run's other split, which shares the groups with this one; 0: this one has them all",
        default=0,
        at_least=0,
        shapes_result=False,
        promoted=True,
    )
    max_groups: int = parameter(
        f"groups the shards are handled in, {MAX_GROUPS} at most",
        default=66,
        refuse=refuse_groups,
        shapes_result=False,
        promoted=True,
    )
    agreement: float = parameter("share of the votes that makes a consensus", default=2 / 3, more_than=0, at_most=1)
    max_malformed: float = parameter(
        "share of malformed rows up to which the file is trusted", default=0.01, at_least=0, at_most=1
    )
    requests_per_second: float = parameter(
        "requests a second to one host key, over the whole run", default=20.0, more_than=0, promoted=True
    )
    task_requests_per_second: float = parameter("requests a second that one task can do", default=200.0, more_than=0)

    @property
    def shards(self) -> int:
        """The shards the plan has: those of the split, or of the trial."""
        return min(self.num_shards, self.max_shards or self.num_shards)

    @property
    def groups(self) -> int:
        """The groups that fall to this split at the most, by its part of the run's shards."""
        others = min(self.other_shards, self.max_shards or self.other_shards)
        return Group.part(self.max_groups, self.shards, others)
