"""How far a step is, shard by shard, from the markers in the storage root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fec import layout
from fec.done import read_done, read_markers
from fec.errors import ConfigurationError
from fec.presets import PRESETS, Preset
from fec.storage import Storage

# What the names of record files begin with, and the preset that says how many there are.
PROBLEMS: Final[Mapping[str, Preset]] = {
    problem: preset
    for name, preset in PRESETS.items()
    for problem in (name, layout.faces_problem(name), layout.triplets_problem(name))
}


@dataclass(frozen=True)
class ShardProgress:
    """The shards of a step, ``total`` of them, with the counts of those whose marker is there."""

    step: str
    split: str
    total: int
    counts: Mapping[int, Mapping[str, int]]

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(shard for shard in range(self.total) if shard not in self.counts)

    @property
    def sums(self) -> dict[str, int]:
        """Counts of all finished shards together."""
        whole = Counter[str]()
        for counts in self.counts.values():
            whole.update(counts)
        return dict(sorted(whole.items()))


def shard_progress(storage: Storage, step: str, split: str, problem: str = layout.PROBLEM) -> ShardProgress:
    """Read the marker of every shard of ``step``; for datagen a shard is a record file whose name begins ``problem``.

    Raises ConfigurationError where the step before has not said how many there are.
    """
    directories = _directories(storage, step, split, problem)
    markers = read_markers(storage, directories)
    counts = {shard: done.counts for shard, done in enumerate(markers) if done is not None}
    return ShardProgress(step, split, len(directories), counts)


def _directories(storage: Storage, step: str, split: str, problem: str) -> list[str]:
    before = layout.collect_dir(split) if step == "datagen" else layout.plan_dir(split)
    done = read_done(storage, before)
    if done is None:
        name = "collect" if step == "datagen" else "plan"
        raise ConfigurationError(
            f"root {storage.root}: {name} has not finished for {split}; python -m components.{name}"
        )
    if step == "datagen":
        if problem not in PROBLEMS:
            raise ConfigurationError(f"problem {problem!r}: expected one of {', '.join(PROBLEMS)}")
        count = PROBLEMS[problem].record_shards(split, done.counts["records"], done.counts["record_shards"])
        return [layout.record_done_dir(split, number, count, problem) for number in range(count)]
    directory = {"download": layout.images_dir, "faces": layout.faces_dir}[step]
    return [directory(split, shard) for shard in range(int(done.details["num_shards"]))]
