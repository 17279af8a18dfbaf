"""Plan a split: what is to be fetched, where it goes, and in which groups it is done."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from components.plan.parameters import Parameters
from fec import identity, layout
from fec.done import finished
from fec.memory import take_memory_in_one_place
from fec.progress import event
from fec.storage import Storage, open_storage

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> list[str]:
    """Plan the split below the root, unless it is planned already; the groups, as ``"index/count"``.

    Raises ConfigurationError for parameters out of range, a root that cannot be written, or annotations that
    cannot be read or are no FEC CSV.
    """
    take_memory_in_one_place()
    from fec import annotations_source

    directory = layout.plan_dir(parameters.split)
    storage = open_storage(parameters.root)
    fingerprint = _fingerprint(parameters, annotations_source.identity(parameters.annotations))
    if not finished(storage, directory, fingerprint):
        from components.plan.work import make_plan

        make_plan(storage, parameters, _settings(parameters), fingerprint)
    _tell(storage, parameters.split)
    return [str(group) for group in layout.Group.all(parameters.shards, parameters.groups)]


def _settings(parameters: Parameters) -> dict[str, Any]:
    """What the fingerprint covers; a trial of as many shards as the split has is none."""
    p = parameters
    return p.settings | {"split": p.split, "max_shards": p.max_shards if p.max_shards < p.num_shards else 0}


def _fingerprint(parameters: Parameters, annotations: str) -> str:
    return identity.fingerprint({"annotations": annotations} | _settings(parameters))


def _tell(storage: Storage, split: str) -> None:
    """Say what is to be fetched and how long that takes at least, before any of it is."""
    about = json.loads(storage.read(f"{layout.plan_dir(split)}/plan.json"))
    counts, [largest, *_] = about["counts"], about["largest_hosts"] or [{"host_key": "none", "images": 0}]
    seconds = round(about["expected_seconds"])
    event(
        "planned",
        f"{split}: {counts['images']:,} pictures of {counts['hosts']:,} hosts, {counts['triplets']:,} triplets; the "
        f"largest host, {largest['host_key']}, has {largest['images']:,}: at least {timedelta(seconds=seconds)} to "
        "fetch what is not there yet",
        split=split,
        images=counts["images"],
        hosts=counts["hosts"],
        expected_seconds=seconds,
    )
