"""Keep the triplets whose three faces survived, put them in the order of the records, and count what was lost where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from components.collect.parameters import Parameters
from fec import identity, layout
from fec.done import Done, finished, read_done, read_markers
from fec.errors import RunFailed
from fec.layout import Group
from fec.outcomes import ARCHIVED, ImageOutcome
from fec.presets import preset_named
from fec.storage import Storage, open_storage

__all__ = ["Parameters", "run"]

# A task makes each face it needs small once, and a face is in ten triplets: in smaller groups than this one the
# same face is made small in nearly all of them, and starting a pod takes longer than its work.
TRIPLETS_PER_GROUP: Final = 50_000


def run(parameters: Parameters) -> list[str]:
    """Write ``collect/<split>/``; returns the groups of record shards, such as ``["0/2", "1/2"]``.

    Train's faces are held against eval's where those have been verified. Raises RunFailed if a shard has not been
    through the faces step, if a manifest is not the one its marker was written for, if leaks are to be dropped and
    eval has not been verified, or if no triplet is left; then the funnel is written all the same and says where they
    were lost.
    """
    preset = preset_named(parameters.preset)
    storage = open_storage(parameters.root)
    split = parameters.split
    plan = read_done(storage, layout.plan_dir(split))
    if plan is None:
        raise RunFailed(f"{storage.root} has no finished plan of {split}: run the plan step first")
    shards = range(int(plan.details["num_shards"]))
    verified = _markers(storage, [layout.faces_dir(split, shard) for shard in shards], "faces")
    tried = _markers(storage, [layout.images_dir(split, shard) for shard in shards], "download")
    evaluation = _evaluation(storage) if split == layout.TRAIN else None
    if parameters.drop_leaks and split == layout.TRAIN and evaluation is None:
        raise RunFailed(
            "drop_leaks: which faces of train eval has as well can be told once the faces step has finished all of "
            "eval's shards: run plan, download and faces of eval first"
        )
    subset = None
    if parameters.subset:
        from fec.subsets import read_subset

        subset = read_subset(parameters.subset)
    fingerprint = identity.fingerprint(
        ({} if subset is None else {"subset": subset.fingerprint})
        | {
            "plan": plan.digest,
            "faces": [done.digest for done in verified],
            "images": [dict(done.counts) for done in tried],
            "eval": evaluation,
            **parameters.settings,
        }
    )
    done = finished(storage, layout.collect_dir(split), fingerprint)
    if done is None:
        from components.collect.work import Inputs, collect

        manifests = [done.digest for done in verified]
        archived = sum(done.counts.get(ARCHIVED, 0) for done in tried)
        inputs = Inputs(manifests, evaluation, plan.counts["images"], _image_outcomes(tried), subset, archived)
        done = collect(storage, parameters, inputs, fingerprint)
    collected = done.counts["records"]
    record_shards = preset.record_shards(split, collected, done.counts["record_shards"])
    enough = -(-preset.triplets(split, collected) // TRIPLETS_PER_GROUP)
    return [
        str(group) for group in Group.all(record_shards, min(parameters.max_groups, enough, layout.MAX_RECORD_GROUPS))
    ]


def _evaluation(storage: Storage) -> list[str] | None:
    """The digests of eval's manifests of faces; None unless all of them are there."""
    plan = read_done(storage, layout.plan_dir(layout.EVAL))
    if plan is None:
        return None
    shards = range(int(plan.details["num_shards"]))
    found = read_markers(storage, [layout.faces_dir(layout.EVAL, shard) for shard in shards])
    digests = [done.digest for done in found if done is not None]
    return digests if len(digests) == len(shards) else None


def _markers(storage: Storage, directories: Sequence[str], step: str) -> list[Done]:
    """The markers of all ``directories``; raises RunFailed if some are missing."""
    markers = read_markers(storage, directories)
    missing = [directory for directory, done in zip(directories, markers, strict=True) if done is None]
    if missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise RunFailed(
            f"the {step} step has not finished {len(missing)} of {len(directories)} shards ({shown}): run it first"
        )
    return [done for done in markers if done is not None]


def _image_outcomes(tried: Sequence[Done]) -> dict[str, int]:
    """How many images of all shards came to each outcome."""
    codes = set(ImageOutcome)
    total = Counter[str]()
    for done in tried:
        total.update({code: count for code, count in done.counts.items() if code in codes})
    return dict(sorted(total.items()))
