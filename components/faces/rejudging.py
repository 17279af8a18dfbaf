"""A higher threshold, from what the manifest keeps of an earlier run: no picture is decoded, no network runs.

Only what a run of its own would come to is taken; the few images whose other view, as stored or after half a turn,
would be looked at with the higher threshold are verified anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from components.faces.judging import low_confidence
from components.faces.verification import thumbnail_of
from fec import layout, tables
from fec.codecs import extras
from fec.done import Done
from fec.outcomes import FaceOutcome
from fec.row_types import from_values
from fec.rows import VerifiedFace
from fec.storage import Storage

# The details of a marker: what stands for all but the threshold, and the threshold.
BASIS = "basis"
THRESHOLD = "threshold"
# Found somewhere else than where the face was first looked for: below the threshold it would be looked for on.
_LOOKED_ON = (FaceOutcome.FACE_ELSEWHERE, FaceOutcome.UPSIDE_DOWN)


@dataclass(frozen=True)
class Earlier:
    """The faces of a shard as an earlier run left them, by image, when all but its ``threshold`` was as now."""

    threshold: float
    by_image: dict[str, list[VerifiedFace]]


def earlier(storage: Storage, directory: str, done: Done | None, basis: str) -> Earlier | None:
    """What the marker ``done`` stands for, if all but the threshold is as ``basis`` says and the table is its own."""
    if done is None or done.details.get(BASIS) != basis:
        return None
    path = f"{directory}/{layout.FACES_TABLE}"
    try:
        if hashlib.sha256(storage.read(path)).hexdigest() != done.details["table_sha256"]:
            return None
        table = tables.read_table(storage, path)
    except (OSError, pa.ArrowInvalid):
        return None
    by_image: dict[str, list[VerifiedFace]] = {}
    for row in table.to_pylist():
        by_image.setdefault(row["image_id"], []).append(from_values(VerifiedFace, row))
    return Earlier(float(done.details[THRESHOLD]), by_image)


def rejudged(
    faces: Sequence[VerifiedFace], threshold: float, crop_of: Callable[[VerifiedFace], bytes | None]
) -> list[VerifiedFace] | None:
    """The rows of an image's ``faces`` with a threshold as high or higher; None if it has to be verified anew.

    ``crop_of`` gives the stored crop of a face that is ok, None if it is not the one that was stored.
    """
    judged: list[VerifiedFace] = []
    for face in faces:
        crop = crop_of(face) if face.outcome is FaceOutcome.OK else b""
        low = face.confidence is not None and face.confidence < threshold
        if extras.is_installed(extras.lacking(face.detail)):
            return None
        if crop is None or (low and face.outcome in _LOOKED_ON):
            return None
        if low and face.outcome in (FaceOutcome.OK, FaceOutcome.SEVERAL_FACES, FaceOutcome.LOW_CONFIDENCE):
            assert face.confidence is not None
            picture = thumbnail_of(crop) if crop else face.thumbnail
            detail = low_confidence(face.confidence, threshold)
            face = replace(
                face,
                outcome=FaceOutcome.LOW_CONFIDENCE,
                detail=detail,
                crop_name=None,
                crop_sha256=None,
                thumbnail=picture,
            )
        judged.append(face)
    was, still = (any(face.outcome is FaceOutcome.OK for face in rows) for rows in (faces, judged))
    return None if was and not still and faces[0].exif_orientation != 1 else judged
