"""What the report shows of a run, read from its manifests; samples are chosen by hash, so they stay the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeVar

import cv2
import numpy as np

from fec import layout, tables
from fec.done import read_done
from fec.errors import RunFailed
from fec.funnel import read_funnel
from fec.layout import EVAL, SPLITS, TRAIN
from fec.outcomes import FaceOutcome
from fec.record_files import RecordFiles
from fec.rows import PlannedImage, VerifiedFace
from fec.storage import Storage
from fec.subsets import Subset
from fec.urls import host_of

THUMBNAIL: Final = 96
SHOWN_CROPS: Final = 24
SHOWN_TRIPLETS: Final = 4
# Shards the samples are taken from: enough for variety, few enough to read.
SAMPLED_SHARDS: Final = 40
# Details and hosts come from the network, and may be long.
MAX_TEXT: Final = 120

T = TypeVar("T")


@dataclass(frozen=True)
class Shared:
    """What the surviving triplets of both splits have in common."""

    images: int
    faces: int


@dataclass(frozen=True)
class ShownCrop:
    """A crop to show: a small JPEG, what became of it and why, and the host it came from."""

    face_id: str
    jpeg: bytes
    outcome: str
    caption: str
    host: str


def shared(storage: Storage) -> Shared:
    """Photographs and faces that occur in the records of both splits."""
    used = [
        tables.read_table(storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}", columns=["image_id", "face_id"])
        for split in SPLITS
    ]
    both = [set(used[0][name].to_pylist()) & set(used[1][name].to_pylist()) for name in ("image_id", "face_id")]
    return Shared(len(both[0]), len(both[1]))


def photographs(storage: Storage, split: str = EVAL) -> dict[str, str]:
    """The photograph of every face of a split's surviving triplets, by id."""
    path = f"{layout.collect_dir(split)}/{layout.FACES_TABLE}"
    table = tables.read_table(storage, path, columns=["image_id", "face_id"])
    return dict(zip(table["face_id"].to_pylist(), table["image_id"].to_pylist(), strict=True))


def provenance(storage: Storage, run: str, records: RecordFiles, on: Subset) -> dict[str, str]:
    """Parameters, versions and fingerprints, as label and value; ``on``: the triplets that were measured."""
    about = json.loads(storage.read(f"{layout.model_dir(run)}/train.json"))
    rows = {"storage root": storage.root}
    rows["eval: measured on"] = f"{on.fingerprint}, {len(on.of(EVAL)):,} triplets"
    for split in SPLITS:
        if (kept := read_funnel(storage, split).subset) is not None:
            rows[f"{split}: subset"] = f"{kept.fingerprint}, {kept.listed:,} triplets listed"
        plan = _json(storage, f"{layout.plan_dir(split)}/plan.json").get("parameters", {})
        if plan:
            rows[f"{split}: annotations"] = str(plan["annotations"])
            rows[f"{split}: agreement"] = str(Fraction(plan["agreement"]).limit_denominator(100))
    rows["detectors"] = ", ".join(_detectors(storage))
    rows["faces in the records"] = f"{records.image_size} x {records.image_size} pixels" + (
        f", JPEG quality {records.jpeg_quality}" if records.jpeg_quality else ""
    )
    rows |= {f"training: {name}": str(value) for name, value in about["parameters"].items() if value != ""}
    rows |= {f"version: {name}": str(value) for name, value in about["versions"].items()}
    trained = read_done(storage, layout.model_dir(run))
    if trained is not None:
        rows["parameters of the network"] = f"{trained.counts['parameters']:,}"
        rows["fingerprint of the training"] = trained.fingerprint
        rows["sha256 of the model"] = trained.digest
    for split in SPLITS:
        for step, directory in (("plan", layout.plan_dir(split)), ("collection", layout.collect_dir(split))):
            done = read_done(storage, directory)
            if done is not None:
                rows[f"fingerprint of the {step} of {split}"] = done.fingerprint
    return rows


def accepted_crops(storage: Storage) -> list[ShownCrop]:
    """Some crops that were kept, with the detector's confidence."""
    crops = []
    for sample in _sample(storage, SHOWN_CROPS, lambda face: face.outcome is FaceOutcome.OK):
        face = sample.face
        path = f"{layout.faces_dir(TRAIN, sample.shard)}/{face.crop_name}"
        try:
            small = _small(storage.read(path))
        except FileNotFoundError:
            raise RunFailed(f"{path} is missing: run the faces step again") from None
        if small:
            crops.append(ShownCrop(face.face_id, small, face.outcome, f"{face.confidence:.2f}", sample.host))
    return crops


def rejected_crops(storage: Storage) -> list[ShownCrop]:
    """Some crops that were thrown away, and why."""
    crops = []
    for sample in _sample(storage, SHOWN_CROPS, lambda face: face.outcome is not FaceOutcome.OK):
        small = _small(sample.face.thumbnail or b"")
        if small:
            face = sample.face
            crops.append(ShownCrop(face.face_id, small, face.outcome, _bounded(face.detail), sample.host))
    return crops


def _detectors(storage: Storage) -> list[str]:
    path = f"{layout.collect_dir(TRAIN)}/{layout.FACES_TABLE}"
    names = tables.read_table(storage, path, columns=["detector"])["detector"].unique().to_pylist()
    return sorted(_bounded(name) for name in names)


def _json(storage: Storage, path: str) -> dict[str, Any]:
    try:
        value = json.loads(storage.read(path))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _bounded(text: str) -> str:
    """Text from outside, short enough to stand below a picture."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


@dataclass(frozen=True)
class _Sample:
    """A face of the train split, the shard it is in and the host its image came from."""

    shard: int
    face: VerifiedFace
    host: str


def _sample(storage: Storage, count: int, wanted: Callable[[VerifiedFace], bool]) -> list[_Sample]:
    """Some faces of the train split that are ``wanted`` and have a picture."""
    planned = read_done(storage, layout.plan_dir(TRAIN))
    shards = range(int(planned.details["num_shards"])) if planned is not None else range(0)
    found: list[tuple[int, VerifiedFace]] = []
    for shard in _by_hash(shards, str, SAMPLED_SHARDS):
        path = f"{layout.faces_dir(TRAIN, shard)}/{layout.FACES_TABLE}"
        faces = tables.read_rows(storage, path, VerifiedFace)
        fitting = [face for face in faces if wanted(face) and (face.crop_name or face.thumbnail)]
        found += [(shard, face) for face in _by_hash(fitting, lambda face: face.face_id, count)]
    chosen = _by_hash(found, lambda pair: pair[1].face_id, count)
    hosts = _hosts(storage, {face.image_id for _, face in chosen})
    return [_Sample(shard, face, hosts.get(face.image_id, "")) for shard, face in chosen]


def _hosts(storage: Storage, image_ids: set[str]) -> dict[str, str]:
    path = f"{layout.plan_dir(TRAIN)}/images.parquet"
    images = tables.read_rows(storage, path, PlannedImage, filters=[("image_id", "in", image_ids or {""})])
    return {image.image_id: _bounded(host_of(image.url)) for image in images}


def _by_hash(values: Iterable[T], key: Callable[[T], str], count: int) -> list[T]:
    """``count`` of ``values``, those whose hashed key is lowest: a sample without a seed or an order."""
    return sorted(values, key=lambda value: hashlib.sha256(key(value).encode()).digest())[:count]


def _small(data: bytes) -> bytes | None:
    """A JPEG of at most THUMBNAIL pixels a side, or None if ``data`` cannot be read."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    scale = THUMBNAIL / max(pixels.shape[:2])
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])
