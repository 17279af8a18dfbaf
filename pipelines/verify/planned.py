"""The plan of a split: its tables as its marker describes them, and the labels it took from the annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from fec import identity, layout
from fec.done import Done
from fec.row_types import names
from fec.rows import FACE_COLUMNS, PlannedFace, PlannedImage, PlannedTriplet, StoredElsewhere
from fec.storage import Storage
from pipelines.verify import stored
from pipelines.verify.findings import Fault, Findings

_COLUMNS: Final = {
    "images": (PlannedImage, ("image_id", "shard")),
    "faces": (PlannedFace, ("face_id", "image_id", "shard", "crop_name")),
    # All but who voted, which is half of what they weigh.
    "triplets": (
        PlannedTriplet,
        tuple(name for name in names(PlannedTriplet) if name != "annotators"),
    ),
}


@dataclass(frozen=True)
class Planned:
    """What the plan says; a table is None where it is spoiled."""

    done: Done
    num_shards: int
    images: pa.Table | None
    faces: pa.Table | None
    triplets: pa.Table | None


def check(storage: Storage, split: str, findings: Findings) -> Planned | None:
    """Hold the plan against its marker; None if there is no whole marker."""
    directory = layout.plan_dir(split)
    done = stored.marker(storage, directory, "plan", ("images", "faces", "triplets"), ("num_shards",))
    if done is None:
        findings.absent.append(f"plan of {split}")
        return None
    if isinstance(done, Fault):
        findings.add([done])
        return None
    if not isinstance(done.details["num_shards"], int):
        findings.fault(f"{directory}/{layout.DONE}", "num_shards is not a number")
        return None
    found: dict[str, pa.Table | None] = {}
    for name, (row, columns) in _COLUMNS.items():
        path = f"{directory}/{name}.parquet"
        table = stored.table(storage, path, row, columns)
        if isinstance(table, Fault):
            findings.add([table])
            found[name] = None
            continue
        found[name] = table
        if len(table) != done.counts[name]:
            findings.fault(path, f"{len(table):,} rows where its marker says {done.counts[name]:,}")
    if None not in found.values():
        findings.add(_of_another_plan(storage, directory, done))
    findings.add(_spoiled_plan(storage, f"{directory}/plan.json", done))
    if storage.size(f"{directory}/stored.parquet") is not None:
        table = stored.table(storage, f"{directory}/stored.parquet", StoredElsewhere)
        findings.add([table] if isinstance(table, Fault) else [])
    planned = Planned(done, done.details["num_shards"], found["images"], found["faces"], found["triplets"])
    findings.add(_wrong_references(directory, planned))
    if planned.triplets is not None:
        findings.add(wrong_labels(f"{directory}/triplets.parquet", planned.triplets))
    return planned


def wrong_labels(path: str, triplets: pa.Table) -> Iterator[Fault]:
    """Types, votes and consensus (which may be null) that are not 1..3, and triplets without a vote."""
    for what, values in (
        ("type", triplets["type"]),
        ("vote", pc.list_flatten(triplets["votes"])),
        ("odd_one_out", triplets["odd_one_out"]),
    ):
        wrong = values.filter(pc.fill_null(pc.or_(pc.less(values, 1), pc.greater(values, 3)), False))
        if len(wrong):
            yield Fault(path, f"{what} {wrong[0].as_py()} is not 1..3 ({len(wrong):,} such)")
    without = pc.sum(pc.equal(pc.list_value_length(triplets["votes"]), 0), min_count=0).as_py()
    if without:
        yield Fault(path, f"{without:,} triplets without a vote")


def _of_another_plan(storage: Storage, directory: str, done: Done) -> Iterator[Fault]:
    """The marker's digest covers the bytes of the three tables together."""
    digests = {name: stored.sha256(storage, f"{directory}/{name}.parquet") for name in _COLUMNS}
    if identity.fingerprint(digests) != done.digest:
        yield Fault(
            directory,
            f"one of {', '.join(f'{name}.parquet' for name in _COLUMNS)} is spoiled, or of another run than the marker",
        )


def _spoiled_plan(storage: Storage, path: str, done: Done) -> Iterator[Fault]:
    try:
        plan: Any = json.loads(storage.read(path))
        ours = plan["fingerprint"] == done.fingerprint and plan["counts"] == done.counts
    except FileNotFoundError:
        yield Fault(path, "missing")
    except (ValueError, KeyError, TypeError, OSError):
        yield Fault(path, "truncated or spoiled")
    else:
        if not ours:
            yield Fault(path, "of another run than the marker beside it")


def _wrong_references(directory: str, planned: Planned) -> Iterator[Fault]:
    images, faces, triplets = planned.images, planned.faces, planned.triplets
    for name, column, table in (("images", "image_id", images), ("faces", "face_id", faces)):
        if table is None:
            continue
        path = f"{directory}/{name}.parquet"
        if twice := len(table) - len(pc.unique(table[column])):
            yield Fault(path, f"{twice:,} ids occur more than once")
        outside = pc.sum(pc.or_(pc.less(table["shard"], 0), pc.greater_equal(table["shard"], planned.num_shards)))
        if outside.as_py():
            yield Fault(path, f"{outside.as_py():,} rows name a shard that is not one of {planned.num_shards}")
    if images is not None and faces is not None:
        unknown = pc.unique(faces["image_id"].filter(pc.invert(pc.is_in(faces["image_id"], images["image_id"]))))
        if len(unknown):
            yield Fault(f"{directory}/faces.parquet", f"images that are not planned: {stored.some(unknown)}")
    if faces is not None and triplets is not None:
        for name in FACE_COLUMNS:
            unknown = triplets["line"].filter(pc.invert(pc.is_in(triplets[name], faces["face_id"])))
            if len(unknown):
                lines = f"{stored.some(unknown)} ({len(unknown):,} in all)"
                yield Fault(f"{directory}/triplets.parquet", f"{name} is not planned in the triplets of lines {lines}")
