"""From the faces' manifests to the surviving triplets, in columns: half a million of them take seconds."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import identity, layout, tables
from fec.done import Done, finished, read_done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import Group
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.progress import event
from fec.storage import Storage, open_storage

if TYPE_CHECKING:
    from components.collect.step import Parameters

MAX_GROUPS: Final = 200
_READERS: Final = 16
_FACES: Final = ("face_a", "face_b", "face_c")


@dataclass(frozen=True)
class Survivors:
    """The triplets that become records (COLLECTED), the faces they use (COLLECTED_FACES), and the funnel."""

    triplets: pa.Table
    faces: pa.Table
    funnel: Mapping[str, Any]


def collect(parameters: Parameters) -> list[str]:
    """Do the step; see ``components.collect.step.run``."""
    if parameters.triplets_per_record_shard < 1:
        raise ConfigurationError(
            f"triplets_per_record_shard {parameters.triplets_per_record_shard}: expected 1 or more"
        )
    if not 1 <= parameters.max_groups <= MAX_GROUPS:
        raise ConfigurationError(f"max_groups {parameters.max_groups}: expected 1 to {MAX_GROUPS}")
    storage = open_storage(parameters.root)
    split = parameters.split
    plan = read_done(storage, layout.plan_dir(split))
    if plan is None:
        raise RunFailed(f"{parameters.root} has no finished plan of {split}: run the plan step first")
    shards = range(int(plan.details["num_shards"]))
    verified = _markers(storage, [layout.faces_dir(split, shard) for shard in shards], "faces")
    fetched = _markers(storage, [layout.images_dir(split, shard) for shard in shards], "download")
    directory = layout.collect_dir(split)
    fingerprint = identity.fingerprint(
        {
            "step": "collect",
            "plan": plan.digest,
            "faces": [done.digest for done in verified],
            "images": [done.digest for done in fetched],
            "seed": parameters.seed,
            "triplets_per_record_shard": parameters.triplets_per_record_shard,
        }
    )
    done = finished(storage, directory, fingerprint)
    if done is None:
        outcomes = Counter[str]()
        for marker in fetched:
            outcomes.update({key: n for key, n in marker.counts.items() if key in list(ImageOutcome)})
        triplets = tables.read_table(storage, f"{layout.plan_dir(split)}/triplets.parquet")
        survivors = select(triplets, _verified(storage, split, shards), outcomes, plan.counts["images"], parameters)
        done = _write(storage, parameters, survivors, fingerprint)
    return [str(group) for group in Group.all(done.counts["record_shards"], parameters.max_groups)]


def select(
    triplets: pa.Table, verified: pa.Table, image_outcomes: Mapping[str, int], images: int, parameters: Parameters
) -> Survivors:
    """What survives of ``triplets`` (TRIPLETS) given ``verified`` (VERIFIED with a column ``shard``).

    The order depends on the seed and each triplet's line only, so it is the same however the images were
    spread over shards.
    """
    ok = verified.filter(pc.equal(verified["outcome"], str(FaceOutcome.OK)))
    places = [pc.index_in(triplets[name], value_set=ok["face_id"].combine_chunks()) for name in _FACES]
    alive = pc.and_(pc.and_(places[0].is_valid(), places[1].is_valid()), places[2].is_valid())
    surviving = triplets.filter(alive)
    agreed = surviving.filter(surviving["odd_one_out"].is_valid())
    order = np.argsort(_shuffle_keys(agreed["line"].to_numpy(), parameters.seed), kind="stable")
    ordered = agreed.take(pa.array(order))
    count = len(ordered)
    record_shards = -(-count // parameters.triplets_per_record_shard)
    numbers = np.arange(count, dtype=np.int64) * record_shards // max(1, count)
    kept = ordered.drop_columns(["annotators"]).append_column("record_shard", pa.array(numbers, type=pa.int32()))
    used = pa.chunked_array([chunk for name in _FACES for chunk in ordered[name].chunks], type=pa.string())
    faces = ok.filter(pc.is_in(ok["face_id"], value_set=pc.unique(used)))
    faces = faces.select(tables.COLLECTED_FACES.names).sort_by([("shard", "ascending"), ("face_id", "ascending")])
    types = Counter(ordered["type"].to_pylist())
    funnel = {
        "images": images,
        "fetched": image_outcomes.get(str(ImageOutcome.FETCHED), 0),
        "faces": len(verified),
        "faces_ok": len(ok),
        "triplets": len(triplets),
        "triplets_ok": len(surviving),
        "records": count,
        "record_shards": record_shards,
        "no_consensus": len(surviving) - count,
        "types": {str(kind): types[kind] for kind in (1, 2, 3)},
        "outcomes": {
            "images": dict(sorted(image_outcomes.items())),
            "faces": dict(sorted(Counter(verified["outcome"].to_pylist()).items())),
        },
    }
    return Survivors(
        kept.select(tables.COLLECTED.names).cast(tables.COLLECTED), faces.cast(tables.COLLECTED_FACES), funnel
    )


def _shuffle_keys(lines: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """A 64-bit hash of (seed, line) for each line: an order that no library's generator can change."""
    key = struct.pack("<q", seed)
    hashes = [hashlib.blake2b(struct.pack("<q", line), digest_size=8, key=key).digest() for line in lines.tolist()]
    return np.frombuffer(b"".join(hashes), dtype=">u8")


def _markers(storage: Storage, directories: Sequence[str], step: str) -> list[Done]:
    """The markers of all ``directories``; raises RunFailed if some are missing."""
    with ThreadPoolExecutor(_READERS) as pool:
        markers = list(pool.map(lambda directory: read_done(storage, directory), directories))
    missing = [directory for directory, done in zip(directories, markers, strict=True) if done is None]
    if missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise RunFailed(
            f"the {step} step has not finished {len(missing)} of {len(directories)} shards ({shown}): run it first"
        )
    return [done for done in markers if done is not None]


def _verified(storage: Storage, split: str, shards: range) -> pa.Table:
    """The faces' manifests of all shards as one table, with the shard as a column."""
    columns = ["face_id", "image_id", "outcome", "crop_name", "crop_sha256"]

    def read(shard: int) -> pa.Table:
        path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
        table = tables.read_table(storage, path, columns=columns)
        return table.append_column("shard", pa.array(np.full(len(table), shard, dtype=np.int32)))

    with ThreadPoolExecutor(_READERS) as pool:
        return pa.concat_tables(pool.map(read, shards))


def _write(storage: Storage, parameters: Parameters, survivors: Survivors, fingerprint: str) -> Done:
    directory = layout.collect_dir(parameters.split)
    funnel = json.dumps(survivors.funnel, indent=1) + "\n"
    storage.write(f"{directory}/funnel.json", funnel.encode())
    if not survivors.funnel["records"]:
        raise RunFailed(_where_they_went(parameters.split, survivors.funnel))
    count = int(survivors.funnel["record_shards"])
    _remove_stale_records(storage, parameters.split, count)
    written = {
        "triplets": tables.write_table(storage, f"{directory}/triplets.parquet", survivors.triplets),
        "faces": tables.write_table(storage, f"{directory}/{layout.FACES_TABLE}", survivors.faces),
    }
    event("collected", _summary(parameters.split, survivors.funnel), funnel=survivors.funnel)
    counts = {key: value for key, value in survivors.funnel.items() if isinstance(value, int)}
    digest = identity.fingerprint(written | {"funnel": hashlib.sha256(funnel.encode()).hexdigest()})
    return write_done(storage, directory, Done("collect", fingerprint, digest, counts))


def _remove_stale_records(storage: Storage, split: str, count: int) -> None:
    """Delete record files that readers would take in by their name, but that are not of this collection."""
    current = {layout.record_name(split, number, count) for number in range(count)}
    ours = f"{layout.PROBLEM}-{layout.RECORD_SPLIT[split]}-"
    for entry in list(storage.list("records")):
        name = entry.path.split("/")[2 if entry.path.startswith("records/_done/") else 1]
        if name.startswith(ours) and name not in current:
            storage.delete(entry.path)


def _summary(split: str, funnel: Mapping[str, Any]) -> str:
    return (
        f"{split}: {funnel['records']:,} of {funnel['triplets']:,} triplets become records "
        f"({funnel['faces_ok']:,} of {funnel['faces']:,} faces, {funnel['fetched']:,} of {funnel['images']:,} images)"
    )


def _where_they_went(split: str, funnel: Mapping[str, Any]) -> str:
    def losses(kind: str, good: str) -> str:
        lost = {name: n for name, n in funnel["outcomes"][kind].items() if name != good}
        return ", ".join(f"{name} {n:,}" for name, n in sorted(lost.items(), key=lambda item: -item[1])) or "none"

    return (
        f"no triplet of {split} is left to train on: of {funnel['images']:,} images {funnel['fetched']:,} were fetched "
        f"(lost: {losses('images', 'fetched')}), of {funnel['faces']:,} faces {funnel['faces_ok']:,} verified "
        f"(lost: {losses('faces', 'ok')}), of {funnel['triplets']:,} triplets {funnel['triplets_ok']:,} survived, "
        f"{funnel['no_consensus']:,} of them without a consensus"
    )
