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

from fec import layout, tables
from fec.done import Done, read_markers, write_done
from fec.errors import RunFailed
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.progress import event
from fec.storage import Storage

if TYPE_CHECKING:
    from components.collect.step import Parameters

# A bucket answers in 50-100 ms.
_READERS: Final = 16
_FACES: Final = ("face_a", "face_b", "face_c")
# Of the plan's triplets; who voted is half of what they weigh.
_COLUMNS: Final = [name for name in tables.TRIPLETS.names if name != "annotators"]


@dataclass(frozen=True)
class Survivors:
    """The triplets that become records (COLLECTED), the faces they use (COLLECTED_FACES), and the funnel."""

    triplets: pa.Table
    faces: pa.Table
    funnel: Mapping[str, Any]


def collect(
    storage: Storage,
    parameters: Parameters,
    manifests: Sequence[str],
    images: int,
    image_outcomes: Mapping[str, int],
    fingerprint: str,
) -> Done:
    """Write ``collect/<split>/`` from the faces' manifests; see ``components.collect.step.run``.

    ``manifests`` are the digests of theirs, a shard each, ``images`` those of the plan, ``image_outcomes`` what
    became of them.
    """
    split = parameters.split
    path = f"{layout.plan_dir(split)}/triplets.parquet"
    try:
        triplets = tables.read_table(storage, path, columns=_COLUMNS)
    except (OSError, pa.ArrowInvalid):
        raise RunFailed(_advice(path, "plan")) from None
    verified = _verified(storage, split, manifests)
    if unknown := _unknown_faces(triplets, verified):
        raise RunFailed(
            f"{path} names {unknown:,} faces that no manifest of the faces step has, so it is of another run: delete "
            "the marker beside it and run the pipeline again"
        )
    survivors = select(triplets, verified, image_outcomes, images, parameters)
    return _write(storage, parameters, survivors, fingerprint)


def select(
    triplets: pa.Table, verified: pa.Table, image_outcomes: Mapping[str, int], images: int, parameters: Parameters
) -> Survivors:
    """What survives of ``triplets`` (TRIPLETS without annotators) by ``verified`` (VERIFIED with a column ``shard``).

    The order depends on the seed and each triplet's line only, so it is the same however the images were
    spread over shards.
    """
    ok = verified.filter(pc.equal(verified["outcome"], str(FaceOutcome.OK)))
    known = ok["face_id"].combine_chunks()
    a, b, c = (pc.is_in(triplets[name], value_set=known) for name in _FACES)
    surviving = pc.and_(pc.and_(a, b), c)
    agreed = triplets.filter(pc.and_(surviving, triplets["odd_one_out"].is_valid()))
    order = np.argsort(_shuffle_keys(agreed["line"].to_numpy(), parameters.seed), kind="stable")
    ordered = agreed.take(pa.array(order))
    count = len(ordered)
    record_shards = min(count, parameters.record_shards or -(-count // parameters.triplets_per_record_shard))
    numbers = np.arange(count, dtype=np.int64) * record_shards // max(1, count)
    kept = ordered.append_column("record_shard", pa.array(numbers, type=pa.int32()))
    used = pa.chunked_array([chunk for name in _FACES for chunk in ordered[name].chunks], type=pa.string())
    faces = ok.filter(pc.is_in(ok["face_id"], value_set=pc.unique(used)))
    faces = faces.select(tables.COLLECTED_FACES.names).sort_by([("shard", "ascending"), ("face_id", "ascending")])
    types = Counter(ordered["type"].to_pylist())
    triplets_ok = pc.sum(surviving, min_count=0).as_py()
    funnel = {
        "images": images,
        "fetched": image_outcomes.get(str(ImageOutcome.FETCHED), 0),
        "faces": len(verified),
        "faces_ok": len(ok),
        "triplets": len(triplets),
        "triplets_ok": triplets_ok,
        "records": count,
        "record_shards": record_shards,
        "no_consensus": triplets_ok - count,
        "types": {str(kind): types[kind] for kind in (1, 2, 3)},
        "outcomes": {
            "images": dict(image_outcomes),
            "faces": dict(sorted(Counter(verified["outcome"].to_pylist()).items())),
        },
    }
    return Survivors(
        kept.select(tables.COLLECTED.names).cast(tables.COLLECTED), faces.cast(tables.COLLECTED_FACES), funnel
    )


def content_digest(triplets: pa.Table, faces: pa.Table) -> str:
    """64 hex digits of all that records are made from, but for where the crops lie: that differs with the shards."""
    digest = hashlib.sha256()
    for name in (*_FACES, "line", "type", "odd_one_out", "record_shard", "votes"):
        _update(digest, triplets[name])
    by_id = faces.sort_by("face_id")
    for name in ("face_id", "image_id", "crop_sha256", "confidence", "detector"):
        _update(digest, by_id[name])
    return digest.hexdigest()


def _update(digest: Any, column: pa.ChunkedArray) -> None:
    if pa.types.is_string(column.type):
        digest.update("\n".join(column.to_pylist()).encode())
    elif pa.types.is_list(column.type):
        digest.update(pc.list_value_length(column).to_numpy().tobytes() + pc.list_flatten(column).to_numpy().tobytes())
    else:
        digest.update(column.to_numpy().tobytes())
    digest.update(b"\0")


def _shuffle_keys(lines: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """A 64-bit hash of (seed, line) for each line: an order that no library's generator can change."""
    key = struct.pack("<q", seed)
    hashes = [hashlib.blake2b(struct.pack("<q", line), digest_size=8, key=key).digest() for line in lines.tolist()]
    return np.frombuffer(b"".join(hashes), dtype=">u8")


def _verified(storage: Storage, split: str, manifests: Sequence[str]) -> pa.Table:
    """The faces' manifests of all shards as one table, with the shard as a column; ``manifests`` are their digests."""
    columns = [name for name in tables.COLLECTED_FACES.names if name != "shard"] + ["outcome"]

    def read(shard: int) -> pa.Table:
        path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
        try:
            table = tables.read_table(storage, path, columns=columns)
        except (OSError, pa.ArrowInvalid):
            raise RunFailed(_advice(path, "faces")) from None
        rows = zip(
            *(table[name].to_pylist() for name in ("face_id", "outcome", "crop_name", "crop_sha256")), strict=True
        )
        if tables.verified_digest(rows) != manifests[shard]:
            raise RunFailed(_advice(path, "faces"))
        return table.append_column("shard", pa.array(np.full(len(table), shard, dtype=np.int32)))

    with ThreadPoolExecutor(_READERS) as pool:
        return pa.concat_tables(pool.map(read, range(len(manifests))))


def _unknown_faces(triplets: pa.Table, verified: pa.Table) -> int:
    """How many faces of the triplets have no row in ``verified``, where each planned face must have one."""
    used = pc.unique(pa.chunked_array([chunk for name in _FACES for chunk in triplets[name].chunks], type=pa.string()))
    known = pc.sum(pc.is_in(used, value_set=verified["face_id"].combine_chunks()), min_count=0)
    return len(used) - int(known.as_py())


def _advice(path: str, step: str) -> str:
    return (
        f"{path} is missing, spoiled or of another run than its marker: delete the marker beside it and run the "
        f"{step} step again"
    )


def _write(storage: Storage, parameters: Parameters, survivors: Survivors, fingerprint: str) -> Done:
    split = parameters.split
    directory = layout.collect_dir(split)
    # From here on the folder is unfinished, whatever an earlier run left in it.
    storage.delete(f"{directory}/{layout.DONE}")
    funnel = (json.dumps(survivors.funnel, indent=1) + "\n").encode()
    storage.write(f"{directory}/funnel.json", funnel)
    if not survivors.funnel["records"]:
        raise RunFailed(_where_they_went(split, survivors.funnel))
    digest = content_digest(survivors.triplets, survivors.faces)
    _remove_stale_records(storage, split, digest)
    written = {
        "triplets_sha256": tables.write_table(storage, f"{directory}/triplets.parquet", survivors.triplets),
        "faces_sha256": tables.write_table(storage, f"{directory}/{layout.FACES_TABLE}", survivors.faces),
    }
    event("collected", _summary(split, survivors.funnel), funnel=survivors.funnel)
    counts = {key: value for key, value in survivors.funnel.items() if isinstance(value, int)}
    details = {"funnel_sha256": hashlib.sha256(funnel).hexdigest(), **written}
    return write_done(storage, directory, Done("collect", fingerprint, digest, counts, details))


def _remove_stale_records(storage: Storage, split: str, digest: str) -> None:
    """Delete the split's record files of other collections than ``digest``: readers take in whatever lies there."""
    paths = {entry.path for entry in storage.list("records") if f"-{layout.RECORD_SPLIT[split]}-" in entry.path}
    markers = sorted(path for path in paths if path.startswith("records/_done/"))
    done = read_markers(storage, [path.removesuffix(f"/{layout.DONE}") for path in markers])
    current = {
        path for path, marker in zip(markers, done, strict=True) if marker and marker.details.get("collect") == digest
    }
    kept = current | {f"records/{path.split('/')[2]}" for path in current}
    # Markers come first, so that none outlives what it marks.
    for path in sorted(paths - kept, key=lambda path: (path not in markers, path)):
        storage.delete(path)


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
        f"{funnel['no_consensus']:,} of them without a consensus; see {layout.collect_dir(split)}/funnel.json"
    )
