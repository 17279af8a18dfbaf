"""Pictures of a root as a browser may have them: JPEGs made here, never what a host sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np

from fec import layout, tables
from fec.colour import to_srgb
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.pixels import RGB, TooManyPixels, Unreadable, decode, encode_jpeg, upright
from fec.rows import VerifiedFace
from fec.segments import StoredImage, read_original
from fec.storage import Storage
from pipelines.embedding.finding import MAX_PIXELS

# Pixels of the longer side of an original, and of a crop in a list.
PICTURE: Final = 1200
CROP: Final = 128
_QUALITY: Final = 88
# Nothing is decoded here that the faces step, in a process of its own, could not decode.
_NOT_DECODED: Final = ("unreadable", "too_many_pixels", "no_image", "not_verified_yet")


def crop_of(storage: Storage, face: Mapping[str, Any]) -> bytes | None:
    """The crop of a face as a JPEG of at most CROP pixels a side, or what was kept of one that was rejected; None
    where there is none."""
    if face["crop_name"]:
        try:
            return _small(storage.read(f"{layout.faces_dir(face['split'], face['shard'])}/{face['crop_name']}"))
        except FileNotFoundError:
            return None
    row = verified(storage, face)
    return _small(row.thumbnail) if row is not None and row.thumbnail else None


def verified(storage: Storage, face: Mapping[str, Any]) -> VerifiedFace | None:
    """The row that the faces step wrote of a face; None before it did."""
    path = f"{layout.faces_dir(face['split'], face['shard'])}/{layout.FACES_TABLE}"
    try:
        return next(tables.read_rows(storage, path, VerifiedFace, filters=[("face_id", "=", face["face_id"])]), None)
    except FileNotFoundError:
        return None


def original_of(storage: Storage, face: Mapping[str, Any]) -> bytes | None:
    """The photograph of a face (``Index.face``), as its boxes mean it, as a JPEG; None where there is none to show."""
    if face["image_outcome"] != ImageOutcome.FETCHED or face["outcome"] in _NOT_DECODED or face["offset"] is None:
        return None
    row = verified(storage, face)
    stored = StoredImage(
        face["image_id"],
        face["url"],
        ImageOutcome.FETCHED,
        "",
        0,
        None,  # type: ignore[arg-type] # when it came makes no difference to its bytes
        offset=face["offset"],
        length=face["length"],
        sha256=face["sha256"],
        segment=face["segment"],
    )
    try:
        picture = decode(read_original(storage, face["in_split"], face["in_shard"], stored), MAX_PIXELS)
    except (RunFailed, Unreadable, TooManyPixels):
        return None
    orientation = row.orientation if row is not None and row.orientation else picture.orientation
    rgb = to_srgb(upright(picture.rgb, orientation), picture.icc)
    return encode_jpeg(_at_most(rgb, PICTURE), _QUALITY)


def _small(data: bytes) -> bytes | None:
    """A stored JPEG at most CROP pixels a side; None for what is spoiled."""
    try:
        rgb = decode(data, MAX_PIXELS).rgb
    except (Unreadable, TooManyPixels):
        return None
    return encode_jpeg(_at_most(rgb, CROP), _QUALITY)


def _at_most(rgb: RGB, side: int) -> RGB:
    """The picture, made small where it is larger than ``side``."""
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
