"""Verified crops against the faces' manifests, and those against the plan, the originals and the markers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fec import layout, tables
from fec.done import Done
from fec.outcomes import FaceOutcome
from fec.progress import track
from fec.rows import VerifiedFace
from fec.storage import Storage
from pipelines.verify import stored
from pipelines.verify.findings import Fault, Findings
from pipelines.verify.originals import Originals
from pipelines.verify.planned import Planned

# All but the boxes and the small pictures of what was rejected.
_COLUMNS: Final = (
    "face_id",
    "image_id",
    "outcome",
    "confidence",
    "detector",
    "crop_name",
    "crop_sha256",
    "rejected_sha256",
)
_CROP: Final = "cropped@"
# Crops a thread is given at a time.
_PORTION: Final = 64


@dataclass(frozen=True)
class Verified:
    """The faces' manifests of all finished shards, with a column ``shard``.

    ``unfinished`` are the shards without a marker; ``complete`` says that there is none, and that every manifest
    could be read.
    """

    faces: pa.Table
    unfinished: frozenset[int]
    complete: bool


@dataclass(frozen=True)
class _Shard:
    """What a shard's folder holds: its marker, its manifest, the names of its crops; or why it cannot be said.

    ``rejected`` are the paths of rejected crops that were kept.
    """

    done: Done | Fault | None
    faces: pa.Table | Fault | None = None
    crops: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()


def check(storage: Storage, split: str, planned: Planned, originals: Originals, findings: Findings) -> Verified:
    """Read every crop of the plan's finished shards back."""
    shards = range(planned.num_shards)
    found = []
    unfinished = set()
    with track(f"verify faces of {split}", len(shards), "shards") as progress:
        for shard, holds in zip(
            shards, stored.side_by_side(partial(_read, storage, split), shards, stored.readers(storage)), strict=True
        ):
            findings.add(part for part in (holds.done, holds.faces) if isinstance(part, Fault))
            if holds.done is None:
                unfinished.add(shard)
            if isinstance(holds.done, Done) and isinstance(holds.faces, pa.Table):
                directory = layout.faces_dir(split, shard)
                findings.add(_of_another_run(directory, holds.done, holds.faces))
                findings.add(_not_as_planned(directory, shard, holds.faces, planned, originals))
                findings.add(_strays(directory, holds))
                findings.add(_other_rejected(storage, split, shard, holds))
                found.append(holds.faces.append_column("shard", pa.array(np.full(len(holds.faces), shard, np.int32))))
            progress.advance()
    findings.progress(split, "crops", planned.num_shards - len(unfinished), planned.num_shards)
    if lost := sorted(originals.unfinished - unfinished):
        findings.fault(
            f"images/{split}", f"no marker in the shards {stored.some(lost)}, though their faces are verified"
        )
    empty = pa.schema([*(tables.schema(VerifiedFace).field(name) for name in _COLUMNS), pa.field("shard", pa.int32())])
    faces = pa.concat_tables([empty.empty_table(), *found]).combine_chunks()
    _read_crops(storage, split, faces.filter(pc.is_valid(faces["crop_name"])), findings)
    return Verified(faces, frozenset(unfinished), len(found) == planned.num_shards)


def _read(storage: Storage, split: str, shard: int) -> _Shard:
    directory = layout.faces_dir(split, shard)
    done = stored.marker(storage, directory, "faces", ("images", "faces"))
    if not isinstance(done, Done):
        return _Shard(done)
    path = f"{directory}/{layout.FACES_TABLE}"
    faces = stored.table(storage, path, VerifiedFace, _COLUMNS)
    if isinstance(faces, pa.Table) and done.details.get("table_sha256") not in (None, stored.sha256(storage, path)):
        faces = Fault(path, "spoiled, or of another run than its marker")
    names = (entry.path.removeprefix(f"{directory}/") for entry in storage.list(directory))
    rejected = frozenset(entry.path for entry in storage.list(layout.rejected_dir(split, shard)))
    return _Shard(done, faces, frozenset(name for name in names if name.startswith(_CROP)), rejected)


def _of_another_run(directory: str, done: Done, faces: pa.Table) -> Iterator[Fault]:
    path = f"{directory}/{layout.FACES_TABLE}"
    columns = (faces[name].to_pylist() for name in ("face_id", "outcome", "crop_name", "crop_sha256"))
    if tables.verified_digest(zip(*columns, strict=True)) != done.digest:
        yield Fault(path, "spoiled, or of another run than its marker")
        return
    counts = {"images": len(pc.unique(faces["image_id"])), "faces": len(faces)} | Counter(faces["outcome"].to_pylist())
    if counts != done.counts:
        yield Fault(f"{directory}/{layout.DONE}", f"counts {dict(done.counts)} where {layout.FACES_TABLE} has {counts}")


def _not_as_planned(
    directory: str, shard: int, faces: pa.Table, planned: Planned, originals: Originals
) -> Iterator[Fault]:
    path = f"{directory}/{layout.FACES_TABLE}"
    strange = sorted(set(faces["outcome"].to_pylist()) - set(FaceOutcome))
    if strange:
        yield Fault(path, f"outcomes that do not exist: {stored.some(strange)}")
    ok = faces.filter(pc.equal(faces["outcome"], FaceOutcome.OK))
    named = pc.and_(pc.is_valid(faces["crop_name"]), pc.is_valid(faces["crop_sha256"]))
    wrong = faces["face_id"].filter(pc.not_equal(named, pc.equal(faces["outcome"], FaceOutcome.OK)))
    if len(wrong):
        yield Fault(path, f"a crop is named where there is none, or none where there is one: {stored.some(wrong)}")
    sure = pc.fill_null(pc.and_(pc.greater_equal(ok["confidence"], 0), pc.less_equal(ok["confidence"], 1)), False)
    if len(wrong := ok["face_id"].filter(pc.invert(sure))):
        yield Fault(path, f"the confidence of {stored.some(wrong)} is not one of 0 to 1")
    if planned.faces is not None:
        wanted = planned.faces.filter(pc.equal(planned.faces["shard"], shard))
        place = pc.index_in(faces["face_id"], wanted["face_id"])
        if place.null_count or len(faces) != len(wanted):
            yield Fault(
                path, f"{len(faces):,} faces, {place.null_count:,} of them not planned, of {len(wanted):,} planned"
            )
        else:
            plan = wanted.take(place)
            other = pc.not_equal(faces["image_id"], plan["image_id"])
            other = pc.or_(other, pc.fill_null(pc.not_equal(faces["crop_name"], plan["crop_name"]), False))
            if len(wrong := faces["face_id"].filter(other)):
                yield Fault(path, f"the image or the crop's name is not the planned one: {stored.some(wrong)}")
    unfetched = ok["face_id"].filter(pc.invert(pc.is_in(ok["image_id"], originals.fetched)))
    if originals.complete and len(unfetched):
        yield Fault(path, f"faces are verified whose image was not fetched: {stored.some(unfetched)}")


def _strays(directory: str, holds: _Shard) -> Iterator[Fault]:
    named = set(holds.faces["crop_name"].to_pylist()) if isinstance(holds.faces, pa.Table) else set()
    for name in sorted(holds.crops - named):
        yield Fault(f"{directory}/{name}", f"a crop that {layout.FACES_TABLE} does not name")


def _other_rejected(storage: Storage, split: str, shard: int, holds: _Shard) -> Iterator[Fault]:
    """Rejected crops that are not as the manifest names them."""
    assert isinstance(holds.faces, pa.Table)
    kept = holds.faces.filter(pc.is_valid(holds.faces["rejected_sha256"]))
    columns = (kept[name].to_pylist() for name in ("outcome", "face_id", "rejected_sha256"))
    named = {
        layout.rejected_crop(split, shard, outcome, face): sha256
        for outcome, face, sha256 in zip(*columns, strict=True)
    }
    for path in sorted(holds.rejected - named.keys()):
        yield Fault(path, f"a rejected crop that {layout.FACES_TABLE} does not name")
    for path, sha256 in named.items():
        if fault := _spoiled_crop(storage, path, sha256):
            yield fault


def _read_crops(storage: Storage, split: str, faces: pa.Table, findings: Findings) -> None:
    def spoiled(at: int) -> list[Fault]:
        part = faces.slice(at, _PORTION)
        columns = (part[name].to_pylist() for name in ("shard", "crop_name", "crop_sha256"))
        return [
            fault
            for shard, name, sha256 in zip(*columns, strict=True)
            if (fault := _spoiled_crop(storage, f"{layout.faces_dir(split, shard)}/{name}", sha256))
        ]

    starts = range(0, len(faces), _PORTION)
    with track(f"verify crops of {split}", len(faces), "crops") as progress:
        for at, faults in zip(starts, stored.side_by_side(spoiled, starts, stored.readers(storage)), strict=True):
            findings.add(faults)
            progress.advance(min(_PORTION, len(faces) - at))
    findings.count("crops", split, len(faces))


def _spoiled_crop(storage: Storage, path: str, sha256: str | None) -> Fault | None:
    try:
        data = storage.read(path)
    except FileNotFoundError:
        return Fault(path, f"missing, though {layout.FACES_TABLE} names it")
    except (OSError, ValueError) as error:
        return Fault(path, f"cannot be read ({error})")
    if hashlib.sha256(data).hexdigest() != sha256:
        return Fault(path, f"not the crop that {layout.FACES_TABLE} was written for")
    return None
