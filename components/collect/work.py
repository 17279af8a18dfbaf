"""From the faces' manifests to the surviving triplets, a part at a time: memory holds ids, and places in their list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.collect.duplicates import Leaking, leaking, repeated_in
from components.collect.parameters import Parameters
from components.collect.selection import PLANNED, Choice, Selection, select
from components.collect.verified import VerifiedFaces, advice, read_verified
from fec import layout, tables
from fec.done import Done, read_markers, write_done
from fec.errors import RunFailed
from fec.funnel import Funnel, Leaks, Listed, Outcomes, Repeated, funnel_path
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.progress import event
from fec.rows import FACE_COLUMNS, CollectedFace, CollectedTriplet
from fec.storage import Storage
from fec.subsets import Subset
from fec.tables import ROW_GROUP


@dataclass(frozen=True)
class Inputs:
    """What the steps before have left.

    Digests of the faces' ``manifests``, a shard each, and of those of ``evaluation`` (None: not verified, or not to be
    looked at); how many ``images`` the plan has, and what became of them. ``subset``: only its triplets are kept.
    ``archived`` of the images came from a web archive.
    """

    manifests: Sequence[str]
    evaluation: Sequence[str] | None
    images: int
    image_outcomes: Mapping[str, int]
    subset: Subset | None = None
    archived: int = 0


def collect(storage: Storage, parameters: Parameters, inputs: Inputs, fingerprint: str) -> Done:
    """Write ``collect/<split>/`` from the faces' manifests; see ``components.collect.step.run``."""
    p = parameters
    path = f"{layout.plan_dir(p.split)}/triplets.parquet"
    verified = read_verified(storage, p.split, inputs.manifests)
    again = repeated_in(verified, p.alike)
    leaks = None
    if inputs.evaluation is not None:
        leaks = leaking(verified, read_verified(storage, layout.EVAL, inputs.evaluation), p.alike)
    tables.release_memory()
    leaky = np.zeros(len(verified.ok), bool) if leaks is None else leaks.faces
    try:
        batches = tables.read_batches(storage, path, PLANNED)
        listed = None if inputs.subset is None else pa.array(sorted(inputs.subset.of(p.split)), pa.string())
        choice = Choice(verified.ids, leaky, p.drop_leaks, listed)
        selection = select(batches, choice, p.seed, p.triplets_per_record_shard, p.record_shards)
    except (OSError, pa.ArrowInvalid):
        raise RunFailed(advice(path, "plan")) from None
    if selection.unknown:
        raise RunFailed(
            f"{path} names {selection.unknown:,} faces that no manifest of the faces step has, so it is of another "
            "run: delete the marker beside it and run the pipeline again"
        )
    counted = funnel(selection, verified, inputs, again)
    if inputs.subset is not None:
        kept = Listed(inputs.subset.fingerprint, len(inputs.subset.of(p.split)), selection.unlisted)
        counted = replace(counted, subset=kept)
    if leaks is not None:
        counted = replace(counted, leaks=Leaks(**vars(leaks.counts), triplets=selection.leaking, dropped=p.drop_leaks))
    return _write(storage, p.split, Collected(selection, verified.ok, leaks), counted, fingerprint)


def funnel(selection: Selection, verified: VerifiedFaces, inputs: Inputs, again: Repeated) -> Funnel:
    """What was lost where."""
    types = np.bincount(selection.type, minlength=4).tolist()
    return Funnel(
        images=inputs.images,
        fetched=inputs.image_outcomes.get(str(ImageOutcome.FETCHED), 0),
        faces=len(verified),
        faces_ok=len(verified.ok),
        triplets=selection.planned,
        triplets_ok=selection.surviving,
        records=len(selection),
        record_shards=selection.record_shards,
        no_consensus=selection.undecided,
        types={str(kind): types[kind] for kind in (1, 2, 3)},
        outcomes=Outcomes(dict(inputs.image_outcomes), dict(verified.outcomes), inputs.archived),
        repeated=again,
    )


def content_digest(selection: Selection, faces: pa.Table, used: NDArray[np.int64]) -> str:
    """64 hex digits of all that records are made from, but for where the crops lie: that differs with the shards.

    ``used`` are the rows of ``faces`` (CollectedFace) that the triplets use.
    """
    digest = hashlib.sha256()
    starts = range(0, len(selection), ROW_GROUP)
    for name in (*FACE_COLUMNS, "line", "type", "odd_one_out", "record_shard"):
        _update(digest, (selection.column(name, start) for start in starts))
        digest.update(b"\0")
    _update(digest, (pc.list_value_length(selection.column("votes", start)) for start in starts))
    _update(digest, (pc.list_flatten(selection.column("votes", start)) for start in starts))
    digest.update(b"\0")
    by_id = used[pc.sort_indices(selection.ids.take(pa.array(used))).to_numpy()]
    for name in ("face_id", "image_id", "crop_sha256", "confidence", "detector"):
        _update(digest, (part[name].combine_chunks() for part in _parts(faces.select([name]), by_id)))
        digest.update(b"\0")
    return digest.hexdigest()


def _update(digest: Any, parts: Iterable[pa.Array]) -> None:
    """Take in a column: texts with a line end between them, or numbers as they lie in memory."""
    for number, part in enumerate(parts):
        if pa.types.is_string(part.type):
            digest.update((b"\n" if number else b"") + "\n".join(part.to_pylist()).encode())
        else:
            digest.update(part.to_numpy().tobytes())
        tables.release_memory()


def _parts(faces: pa.Table, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
    for start in range(0, len(rows), ROW_GROUP):
        yield faces.take(pa.array(rows[start : start + ROW_GROUP]))


@dataclass(frozen=True)
class Collected:
    """What there is to write: the triplets, the ok faces (CollectedFace) and, of train, those that eval has as well."""

    selection: Selection
    faces: pa.Table
    leaks: Leaking | None


def _write(storage: Storage, split: str, collected: Collected, funnel: Funnel, fingerprint: str) -> Done:
    selection, faces = collected.selection, collected.faces
    directory = layout.collect_dir(split)
    triplets_path, faces_path = f"{directory}/triplets.parquet", f"{directory}/{layout.FACES_TABLE}"
    leaks_path = f"{directory}/{layout.LEAKS_TABLE}"
    # From here on the folder is unfinished, whatever an earlier run left in it.
    storage.delete(f"{directory}/{layout.DONE}")
    funnel_text = funnel.to_bytes()
    storage.write(funnel_path(split), funnel_text)
    if not len(selection):
        # Nothing of an earlier collection may pass for this one's.
        _remove_stale_records(storage, split, digest=None)
        storage.delete(triplets_path)
        storage.delete(faces_path)
        storage.delete(leaks_path)
        raise RunFailed(_where_they_went(split, funnel))
    used = np.flatnonzero(np.bincount(selection.faces.ravel(), minlength=len(faces)))
    digest = content_digest(selection, faces, used)
    _remove_stale_records(storage, split, digest)
    written = {
        "triplets_sha256": tables.write_row_groups(storage, triplets_path, CollectedTriplet, selection.row_groups()),
        "faces_sha256": tables.write_row_groups(storage, faces_path, CollectedFace, _parts(faces, used)),
    }
    if collected.leaks is None:
        storage.delete(leaks_path)
    else:
        written["leaks_sha256"] = tables.write_table(storage, leaks_path, collected.leaks.table)
    event("collected", _summary(split, funnel), funnel=asdict(funnel))
    dropped = funnel.leaks is not None and funnel.leaks.dropped
    details: dict[str, Any] = {
        "funnel_sha256": hashlib.sha256(funnel_text).hexdigest(),
        "drop_leaks": dropped,
        **written,
    }
    if funnel.subset is not None:
        details["subset"] = funnel.subset.fingerprint
    return write_done(storage, directory, Done("collect", fingerprint, digest, funnel.counts, details))


def _remove_stale_records(storage: Storage, split: str, digest: str | None) -> None:
    """Delete the split's record files of other collections than ``digest``: readers take in whatever lies there.

    None: there is no collection, so all of them go.
    """
    paths = {entry.path for entry in storage.list("records") if f"-{layout.RECORD_SPLIT[split]}-" in entry.path}
    markers = sorted(path for path in paths if path.startswith("records/_done/"))
    done = read_markers(storage, [path.removesuffix(f"/{layout.DONE}") for path in markers])
    current = {
        path
        for path, marker in zip(markers, done, strict=True)
        if marker and digest and marker.details.get("collect") == digest
    }
    kept = current | {f"records/{path.split('/')[2]}" for path in current}
    # Markers come first, so that none outlives what it marks.
    for path in sorted(paths - kept, key=lambda path: (path not in markers, path)):
        storage.delete(path)


def _summary(split: str, funnel: Funnel) -> str:
    return (
        f"{split}: {funnel.records:,} of {funnel.triplets:,} triplets become records "
        f"({funnel.faces_ok:,} of {funnel.faces:,} faces, {funnel.fetched:,} of {funnel.images:,} images)"
        f"{_leaks(split, funnel)}"
    )


def _leaks(split: str, funnel: Funnel) -> str:
    """What of train eval has as well, in a sentence; "" for eval."""
    leaks = funnel.leaks
    if split != layout.TRAIN:
        return ""
    if leaks is None:
        return "; eval's faces are not verified yet, so nobody looked whether train has the same"
    if not leaks.faces:
        return "; no face of train is known to be in eval"
    fate = "left out" if leaks.dropped else "with one"
    return f"; faces of train that eval has as well: {leaks.faces:,} (triplets {fate}: {leaks.triplets:,})"


def _where_they_went(split: str, funnel: Funnel) -> str:
    def losses(outcomes: Mapping[str, int], good: str) -> str:
        lost = {name: n for name, n in outcomes.items() if name != good}
        return ", ".join(f"{name} {n:,}" for name, n in sorted(lost.items(), key=lambda item: -item[1])) or "none"

    refused = ImageOutcome.ADDRESS_NOT_ALLOWED in funnel.outcomes.images
    hint = ". If images are on a network of yours, name it with --allow-network" if refused else ""
    leaks = funnel.leaks
    dropped = f", and {leaks.triplets:,} are dropped since eval has their faces" if leaks and leaks.dropped else ""
    if funnel.subset is not None:
        dropped += f", and {funnel.subset.left_out:,} are not in the subset {funnel.subset.fingerprint}"
    lost_images = losses(funnel.outcomes.images, ImageOutcome.FETCHED)
    lost_faces = losses(funnel.outcomes.faces, FaceOutcome.OK)
    return (
        f"no triplet of {split} is left to train on: of {funnel.images:,} images {funnel.fetched:,} were fetched "
        f"(lost: {lost_images}), of {funnel.faces:,} faces {funnel.faces_ok:,} verified (lost: {lost_faces}), of "
        f"{funnel.triplets:,} triplets {funnel.triplets_ok:,} survived, {funnel.no_consensus:,} of them without a "
        f"consensus{dropped}; see {funnel_path(split)}{hint}"
    )
