"""What collect kept of a split: its tables against its marker, the plan and the faces' manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import layout
from fec.done import Done
from fec.funnel import Funnel
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.rows import FACE_COLUMNS, CollectedFace, CollectedTriplet, LeakingFace
from fec.storage import Storage
from pipelines.verify import stored
from pipelines.verify.crops import Verified
from pipelines.verify.findings import Fault, Findings
from pipelines.verify.originals import Originals
from pipelines.verify.planned import Planned, wrong_labels

_TRIPLETS: Final = "triplets.parquet"
_FUNNEL: Final = "funnel.json"
_LEAKS_DIGEST: Final = "leaks_sha256"
_DIGESTS: Final = {_TRIPLETS: "triplets_sha256", layout.FACES_TABLE: "faces_sha256", _FUNNEL: "funnel_sha256"}


@dataclass(frozen=True)
class Collection:
    """The triplets in the order of the records (CollectedTriplet) and the faces they use
    (CollectedFace), as collect wrote them; ``dropped`` are the ids of faces it left out since eval has them."""

    done: Done
    triplets: pa.Table
    faces: pa.Table
    dropped: pa.Array


def check(
    storage: Storage, split: str, planned: Planned, originals: Originals, verified: Verified, findings: Findings
) -> Collection | None:
    """Hold the collection against all that it was made of; None if it is not there or not what was written."""
    collected = read(storage, split, findings)
    if collected is not None:
        directory = layout.collect_dir(split)
        if lost := sorted(verified.unfinished):
            findings.fault(split, f"no marker in the shards {stored.some(lost)}, though {directory} was made of them")
        findings.add(_wrong_triplets(f"{directory}/{_TRIPLETS}", collected))
        findings.add(_not_as_planned(f"{directory}/{_TRIPLETS}", collected, planned, verified))
        findings.add(_not_as_verified(f"{directory}/{layout.FACES_TABLE}", collected, verified))
        findings.add(_wrong_funnel(f"{directory}/{_FUNNEL}", storage, collected, planned, originals, verified))
    return collected


def read(storage: Storage, split: str, findings: Findings) -> Collection | None:
    """The collection, if it is as its marker says."""
    directory = layout.collect_dir(split)
    done = stored.marker(storage, directory, "collect", ("records", "record_shards"), tuple(_DIGESTS.values()))
    if isinstance(done, Fault):
        findings.add([done])
        return None
    if done is None:
        findings.absent.append(f"collected triplets of {split}")
        return None
    whole = True
    digests = _DIGESTS | ({layout.LEAKS_TABLE: _LEAKS_DIGEST} if _LEAKS_DIGEST in done.details else {})
    for name, digest in digests.items():
        found = stored.sha256(storage, f"{directory}/{name}")
        if isinstance(found, Fault):
            findings.add([found])
            whole = False
        elif found != done.details[digest]:
            findings.fault(f"{directory}/{name}", "spoiled, or of another run than its marker")
            whole = whole and name == _FUNNEL
    if not whole:
        return None
    triplets = stored.table(storage, f"{directory}/{_TRIPLETS}", CollectedTriplet)
    faces = stored.table(storage, f"{directory}/{layout.FACES_TABLE}", CollectedFace)
    if isinstance(triplets, Fault) or isinstance(faces, Fault):
        findings.add(table for table in (triplets, faces) if isinstance(table, Fault))
        return None
    dropped = _dropped(storage, directory, done)
    if isinstance(dropped, Fault):
        findings.add([dropped])
        return None
    return Collection(done, triplets, faces, dropped)


def _dropped(storage: Storage, directory: str, done: Done) -> pa.Array | Fault:
    if not done.details.get("drop_leaks") or _LEAKS_DIGEST not in done.details:
        return pa.array([], pa.string())
    leaks = stored.table(storage, f"{directory}/{layout.LEAKS_TABLE}", LeakingFace)
    return leaks if isinstance(leaks, Fault) else leaks["face_id"].combine_chunks()


def _wrong_triplets(path: str, collected: Collection) -> Iterator[Fault]:
    triplets, counts = collected.triplets, collected.done.counts
    rows, record_shards = len(triplets), counts["record_shards"]
    if rows != counts["records"]:
        yield Fault(path, f"{rows:,} triplets where its marker says {counts['records']:,}")
    elif rows and not np.array_equal(triplets["record_shard"], np.arange(rows) * record_shards // rows):
        yield Fault(path, f"the triplets are not spread evenly over {record_shards:,} record shards")
    yield from wrong_labels(path, triplets)
    lines = pc.unique(triplets["line"])
    if len(lines) != rows:
        yield Fault(path, f"{rows - len(lines):,} triplets occur more than once")


def _not_as_planned(path: str, collected: Collection, planned: Planned, verified: Verified) -> Iterator[Fault]:
    """A triplet is collected if and only if it has a consensus and its three faces are ok and not dropped as leaks."""
    if planned.triplets is None:
        return
    plan, kept = planned.triplets, collected.triplets
    place = pc.index_in(kept["line"], plan["line"])
    same = pc.is_valid(place)
    for name in (*FACE_COLUMNS, "type", "odd_one_out"):
        same = pc.and_(same, pc.fill_null(pc.equal(kept[name], plan[name].take(place)), False))
    if len(wrong := kept["line"].filter(pc.invert(same))):
        yield Fault(path, f"the triplets of lines {stored.some(wrong)} are not as planned ({len(wrong):,} such)")
    elif not kept["votes"].combine_chunks().equals(plan["votes"].take(place).combine_chunks()):
        yield Fault(path, "votes are not as planned")
    if not verified.complete:
        return
    ok = verified.faces["face_id"].filter(pc.equal(verified.faces["outcome"], FaceOutcome.OK))
    ok = ok.filter(pc.invert(pc.is_in(ok, collected.dropped)))
    surviving = plan["odd_one_out"].is_valid()
    for name in FACE_COLUMNS:
        surviving = pc.and_(surviving, pc.is_in(plan[name], ok))
    wanted = plan["line"].filter(surviving)
    lacking = wanted.filter(pc.invert(pc.is_in(wanted, kept["line"])))
    if len(lacking) and not collected.done.details.get("subset"):
        yield Fault(path, f"lacks the triplets of lines {stored.some(lacking)} ({len(lacking):,}), whose faces are ok")
    if len(extra := kept["line"].filter(pc.invert(pc.is_in(kept["line"], wanted)))):
        yield Fault(path, f"has the triplets of lines {stored.some(extra)} ({len(extra):,}), which do not survive")


def _not_as_verified(path: str, collected: Collection, verified: Verified) -> Iterator[Fault]:
    faces, triplets = collected.faces, collected.triplets
    used = pc.unique(pa.chunked_array([chunk for name in FACE_COLUMNS for chunk in triplets[name].chunks], pa.string()))
    if len(lacking := used.filter(pc.invert(pc.is_in(used, faces["face_id"])))):
        yield Fault(path, f"lacks faces that triplets use: {stored.some(lacking)} ({len(lacking):,} such)")
    if len(faces) != len(used) or len(pc.unique(faces["face_id"])) != len(faces):
        yield Fault(path, f"{len(faces):,} faces where the triplets use {len(used):,}")
    if not verified.complete:
        return
    place = pc.index_in(faces["face_id"], verified.faces["face_id"])
    same = pc.is_valid(place)
    for name in ("image_id", "shard", "crop_name", "crop_sha256", "confidence", "detector"):
        same = pc.and_(same, pc.fill_null(pc.equal(faces[name], verified.faces[name].take(place)), False))
    if len(wrong := faces["face_id"].filter(pc.invert(same))):
        yield Fault(path, f"the faces {stored.some(wrong)} are not as they were verified ({len(wrong):,} such)")


def _wrong_funnel(
    path: str, storage: Storage, collected: Collection, planned: Planned, originals: Originals, verified: Verified
) -> Iterator[Fault]:
    """The funnel against its marker, and against the manifests as far as those are complete."""
    counts = collected.done.counts
    try:
        funnel = Funnel.parse(storage.read(path))
    except (OSError, ValueError):
        yield Fault(path, "truncated or spoiled")
        return
    if funnel.counts != dict(counts):
        yield Fault(path, "counts other than those of the marker beside it")
    for name, number in _counted(planned, originals, verified, collected).items():
        if counts.get(name) != number:
            yield Fault(path, f"{name} {counts.get(name)}, but the manifests have {number:,}: collect again")


def _counted(planned: Planned, originals: Originals, verified: Verified, collected: Collection) -> Mapping[str, int]:
    counted = {"images": planned.done.counts["images"], "triplets": planned.done.counts["triplets"]}
    if originals.complete:
        counted["fetched"] = originals.outcomes[ImageOutcome.FETCHED]
    if verified.complete:
        outcomes = Counter(verified.faces["outcome"].to_pylist())
        counted |= {"faces": len(verified.faces), "faces_ok": outcomes[FaceOutcome.OK]}
    return counted | {"records": len(collected.triplets)}
