"""From the annotations to the tables of a plan, and what is said of them in ``plan.json`` and the marker."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.plan import planned
from components.plan.inventory import Inventory, trial_size
from components.plan.parameters import Parameters
from components.plan.partition import partition, shards_per_host
from components.plan.stored import stored_elsewhere
from fec import annotations_source, identity, layout, tables
from fec.annotation_blocks import read_blocks
from fec.annotation_faces import Faces
from fec.annotation_trust import Tally
from fec.annotations import printable
from fec.done import Done, write_done
from fec.errors import ConfigurationError
from fec.hosts import INVALID, host_key
from fec.rows import PlannedFace, PlannedImage, PlannedTriplet
from fec.segments import seal_unfinished
from fec.storage import Storage

LARGEST_HOSTS: Final = 20


def make_plan(storage: Storage, parameters: Parameters, settings: Mapping[str, Any], fingerprint: str) -> None:
    """Write ``plan/<split>/``; ``settings`` is what the ``fingerprint`` covers of the parameters."""
    tally = Tally()
    inventory = _inventory(parameters, tally)
    width = shards_per_host(parameters.shards, parameters.requests_per_second, parameters.task_requests_per_second)
    host_keys = [host_key(url) for url in inventory.urls_in_turn()]
    if set(host_keys) == {INVALID}:
        source = annotations_source.shown(parameters.annotations)
        raise ConfigurationError(
            f"annotations {source}: none of its {len(host_keys):,} images has an http or https URL; the first is "
            f"{printable(inventory.urls[0].as_py())!r}"
        )
    image_ids = [identity.image_id(url) for url in inventory.urls_in_turn()]
    shard_of = partition(zip(image_ids, host_keys, strict=True), parameters.shards, width)
    shards = np.array([shard_of[image] for image in image_ids], np.int32)
    del shard_of
    names, consensuses = planned.names_of(inventory, image_ids), inventory.consensuses(parameters.agreement)
    directory = layout.plan_dir(parameters.split)

    def write(name: str, row: type[Any], groups: Iterator[pa.Table]) -> str:
        return tables.write_row_groups(storage, f"{directory}/{name}.parquet", row, groups)

    digests = {
        "images": write("images", PlannedImage, planned.images(inventory, names, host_keys, shards)),
        "faces": write("faces", PlannedFace, planned.faces(inventory, names, shards)),
        "triplets": write("triplets", PlannedTriplet, planned.triplets(inventory, names, consensuses)),
    }
    counts = {
        "shards": parameters.shards,
        "rows": tally.rows,
        "malformed": tally.malformed,
        "clipped_boxes": tally.clipped_boxes,
        "triplets": len(inventory),
        "triplets_with_consensus": int(np.count_nonzero(consensuses)),
        "images": len(image_ids),
        "faces": len(inventory.image_of),
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
    _note_stored(storage, parameters.split, names.images, shards)
    write_done(storage, directory, Done("plan", fingerprint, identity.fingerprint(digests), counts, details))


def _inventory(parameters: Parameters, tally: Tally) -> Inventory:
    """What is read of the annotations, for a trial of the first of them."""
    faces = Faces()
    blocks = read_blocks(
        parameters.annotations, parameters.split, faces, max_malformed=parameters.max_malformed, tally=tally
    )
    with _no_collection():
        inventory = Inventory(blocks, faces)
    inventory.keep_first(trial_size(len(inventory), parameters.max_shards, parameters.num_shards))
    return inventory


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


def _note_stored(storage: Storage, split: str, image_ids: pa.Array, shards: NDArray[np.int32]) -> None:
    """Write ``stored.parquet``: what is there already of the plan's images."""
    seal_unfinished(storage, split)
    stored = stored_elsewhere(storage, split, image_ids, shards)
    path = f"{layout.plan_dir(split)}/stored.parquet"
    if len(stored):
        tables.write_table(storage, path, stored)
    else:
        storage.delete(path)
