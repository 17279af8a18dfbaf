"""Plan a split: what is to be fetched, where it goes, and in which groups it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from components.plan.parameters import Parameters
from fec import identity, layout
from fec.done import Done, finished, write_done
from fec.storage import Storage, open_storage

__all__ = ["Parameters", "run"]

LARGEST_HOSTS: Final = 20


def run(parameters: Parameters) -> list[str]:
    """Plan the split below the root, unless it is planned already; the groups, as ``"index/count"``.

    Raises ConfigurationError for parameters out of range, a root that cannot be written, or annotations that
    cannot be read or are no FEC CSV.
    """
    from fec import annotations_source

    directory = layout.plan_dir(parameters.split)
    storage = open_storage(parameters.root)
    fingerprint = _fingerprint(parameters, annotations_source.identity(parameters.annotations))
    if not finished(storage, directory, fingerprint):
        _make(storage, directory, parameters, fingerprint)
    return [str(group) for group in layout.Group.all(_shards(parameters), parameters.max_groups)]


def _shards(parameters: Parameters) -> int:
    """The shards this plan has: those of the split, or of the trial."""
    return min(parameters.num_shards, parameters.max_shards or parameters.num_shards)


def _settings(parameters: Parameters) -> dict[str, Any]:
    """What the fingerprint covers; a trial of as many shards as the split has is none."""
    p = parameters
    return p.settings | {"split": p.split, "max_shards": p.max_shards if p.max_shards < p.num_shards else 0}


def _fingerprint(parameters: Parameters, annotations: str) -> str:
    return identity.fingerprint({"annotations": annotations} | _settings(parameters))


def _make(storage: Storage, directory: str, parameters: Parameters, fingerprint: str) -> None:
    import json

    from components.plan.inventory import Inventory, trial_size
    from components.plan.partition import partition, shards_per_host
    from components.plan.stored import stored_images, stored_table
    from fec import annotations_source, tables
    from fec.annotations import Tally, read_triplets
    from fec.segments import seal_unfinished

    tally = Tally()
    inventory = Inventory(
        read_triplets(parameters.annotations, parameters.split, max_malformed=parameters.max_malformed, tally=tally)
    )
    inventory.keep_first(trial_size(len(inventory), parameters.max_shards, parameters.num_shards))

    num_shards = _shards(parameters)
    width = shards_per_host(num_shards, parameters.requests_per_second, parameters.task_requests_per_second)
    image_ids, host_keys, face_ids = inventory.image_ids(), inventory.host_keys(), inventory.face_ids()
    shard_of = partition(zip(image_ids, host_keys, strict=True), num_shards, width)

    # One at a time: each weighs as much as all that was read.
    written: dict[str, str] = {}
    makers: dict[str, Callable[[], Any]] = {
        "images": lambda: inventory.images_table(image_ids, host_keys, shard_of),
        "faces": lambda: inventory.faces_table(image_ids, face_ids, shard_of),
        "triplets": lambda: inventory.triplets_table(face_ids, parameters.agreement),
    }
    for name, table_of in makers.items():
        table = table_of()
        written[name] = tables.write_table(storage, f"{directory}/{name}.parquet", table)
        if name == "triplets":
            without_consensus = table["odd_one_out"].null_count
        del table
        tables.release_memory()

    hosts = Counter(host_keys)
    largest = sorted(hosts.items(), key=lambda host: (-host[1], host[0]))[:LARGEST_HOSTS]
    counts = {
        "shards": num_shards,
        "rows": tally.rows,
        "malformed": tally.malformed,
        "clipped_boxes": tally.clipped_boxes,
        "triplets": len(inventory),
        "triplets_with_consensus": len(inventory) - without_consensus,
        "images": len(image_ids),
        "faces": len(face_ids),
        "hosts": len(hosts),
    }
    plan = {
        "parameters": _settings(parameters) | {"annotations": annotations_source.shown(parameters.annotations)},
        "fingerprint": fingerprint,
        "num_shards": num_shards,
        "shards_per_host": width,
        "counts": counts,
        "expected_seconds": largest[0][1] / parameters.requests_per_second,
        "largest_hosts": [
            {"host_key": host, "images": count, "expected_seconds": count / parameters.requests_per_second}
            for host, count in largest
        ],
    }
    storage.write(f"{directory}/plan.json", (json.dumps(plan, indent=1, sort_keys=True) + "\n").encode())
    seal_unfinished(storage, parameters.split)
    places = stored_images(storage, parameters.split, shard_of)
    stored = f"{directory}/stored.parquet"
    if places:
        tables.write_table(storage, stored, stored_table(places))
    else:
        storage.delete(stored)

    details = {"num_shards": num_shards, "shards_per_host": width}
    digest = identity.fingerprint(written)
    write_done(storage, directory, Done("plan", fingerprint, digest, counts, details))
