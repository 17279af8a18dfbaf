"""From the annotations to the tables of a plan, and what is said of them in ``plan.json`` and the marker."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from components.plan.inventory import Inventory, trial_size
from components.plan.parameters import Parameters
from components.plan.partition import partition, shards_per_host
from components.plan.stored import stored_elsewhere, stored_table
from fec import annotations_source, identity, layout, tables
from fec.annotation_blocks import read_blocks
from fec.annotation_trust import Tally
from fec.annotations import printable
from fec.done import Done, write_done
from fec.errors import ConfigurationError
from fec.hosts import INVALID
from fec.segments import seal_unfinished
from fec.storage import Storage

LARGEST_HOSTS: Final = 20


def make_plan(storage: Storage, parameters: Parameters, settings: Mapping[str, Any], fingerprint: str) -> None:
    """Write ``plan/<split>/``; ``settings`` is what the ``fingerprint`` covers of the parameters."""
    tally = Tally()
    with _no_collection():
        inventory = Inventory(
            read_blocks(parameters.annotations, parameters.split, max_malformed=parameters.max_malformed, tally=tally)
        )
    inventory.keep_first(trial_size(len(inventory), parameters.max_shards, parameters.num_shards))
    width = shards_per_host(parameters.shards, parameters.requests_per_second, parameters.task_requests_per_second)
    image_ids, host_keys, face_ids = inventory.image_ids(), inventory.host_keys(), inventory.face_ids()
    if set(host_keys) == {INVALID}:
        source = annotations_source.shown(parameters.annotations)
        raise ConfigurationError(
            f"annotations {source}: none of its {len(host_keys):,} images has an http or https URL; the first is "
            f"{printable(inventory.urls[0])!r}"
        )
    shard_of = partition(zip(image_ids, host_keys, strict=True), parameters.shards, width)
    directory = layout.plan_dir(parameters.split)

    # One at a time: each weighs as much as all that was read.
    def write(name: str, table_of: Callable[[], pa.Table]) -> tuple[str, int]:
        """The digest of the table that was written, and how many triplets of it have no consensus."""
        table = table_of()
        digest = tables.write_table(storage, f"{directory}/{name}.parquet", table)
        without = table["odd_one_out"].null_count if name == "triplets" else 0
        del table
        tables.release_memory()
        return digest, without

    images, _ = write("images", lambda: inventory.images_table(image_ids, host_keys, shard_of))
    faces, _ = write("faces", lambda: inventory.faces_table(image_ids, face_ids, shard_of))
    triplets, without_consensus = write("triplets", lambda: inventory.triplets_table(face_ids, parameters.agreement))

    counts = {
        "shards": parameters.shards,
        "rows": tally.rows,
        "malformed": tally.malformed,
        "clipped_boxes": tally.clipped_boxes,
        "triplets": len(inventory),
        "triplets_with_consensus": len(inventory) - without_consensus,
        "images": len(image_ids),
        "faces": len(face_ids),
        "hosts": len(set(host_keys)),
    }
    details = {"num_shards": parameters.shards, "shards_per_host": width}
    about = {
        "parameters": {**settings, "annotations": annotations_source.shown(parameters.annotations)},
        "fingerprint": fingerprint,
        "counts": counts,
        **details,
        **_duration(host_keys, parameters.requests_per_second),
    }
    storage.write(f"{directory}/plan.json", (json.dumps(about, indent=1, sort_keys=True) + "\n").encode())
    _note_stored(storage, parameters.split, shard_of)
    digest = identity.fingerprint({"images": images, "faces": faces, "triplets": triplets})
    write_done(storage, directory, Done("plan", fingerprint, digest, counts, details))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of values that are in no circle: looking for some that are takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _duration(host_keys: Sequence[str], requests_per_second: float) -> dict[str, Any]:
    """How long the download takes at least, and the hosts that say so."""
    largest = sorted(Counter(host_keys).items(), key=lambda host: (-host[1], host[0]))[:LARGEST_HOSTS]
    return {
        "expected_seconds": largest[0][1] / requests_per_second,
        "largest_hosts": [
            {"host_key": host, "images": count, "expected_seconds": count / requests_per_second}
            for host, count in largest
        ],
    }


def _note_stored(storage: Storage, split: str, shard_of: Mapping[str, int]) -> None:
    """Write ``stored.parquet``: what is there already of the plan's images."""
    seal_unfinished(storage, split)
    places = stored_elsewhere(storage, split, shard_of)
    path = f"{layout.plan_dir(split)}/stored.parquet"
    if places:
        tables.write_table(storage, path, stored_table(places))
    else:
        storage.delete(path)
