"""A root as large as the whole dataset, made up: python benchmarks/full_size.py ROOT.

160,000 faces in 157,000 photographs of 9,000 hosts, 500,000 triplets, 2,000 + 200 shards; what becomes of them is
drawn in about the shares that a run meets. All pictures are one packaged photograph: what is measured on this root is
reading and searching, not what is in the pictures. It has embeddings of a run, but no trained network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from fec import layout, tables
from fec.done import FORMAT_VERSION, Done, write_done
from fec.embeddings import Embeddings, write_embeddings
from fec.funnel import Funnel, Outcomes, funnel_path
from fec.rows import (
    CollectedFace,
    CollectedTriplet,
    PlannedFace,
    PlannedImage,
    PlannedTriplet,
    SegmentRow,
    VerifiedFace,
)
from fec.storage import Storage, open_storage

RUN: Final = "made-up"
SHARES: Final = {layout.TRAIN: 0.9, layout.EVAL: 0.1}
SHARDS: Final = {layout.TRAIN: 2000, layout.EVAL: 200}
FACES: Final = 160_000
TRIPLETS: Final = 500_000
HOSTS: Final = 9_000
IMAGE_OUTCOMES: Final = {"fetched": 0.7, "gone": 0.18, "placeholder": 0.04, "dns_failed": 0.04, "refused": 0.04}
FACE_OUTCOMES: Final = {"ok": 0.86, "low_confidence": 0.06, "no_face": 0.05, "face_elsewhere": 0.03}
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("root", type=Path, help="the folder to make; 2.5 GB")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (default: 1)")
    options = parser.parse_args()
    make(options.root, options.scale)


def make(root: Path, scale: float = 1.0) -> None:
    """The made-up root, ``scale`` times as large as the dataset."""
    storage = open_storage(str(root))
    chance = np.random.default_rng(0)
    picture, crop = _pictures()
    parts = [_write_split(storage, split, scale, chance, picture, crop) for split in layout.SPLITS]
    ids, images, splits = (
        [value for part in parts for value in part[name]] for name in ("face_id", "image_id", "split")
    )
    vectors = chance.normal(size=(len(ids), 16)) * np.linspace(2, 0.3, 16)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write_embeddings(storage, RUN, Embeddings(ids, images, splits, vectors.astype(np.float32)))


def _pictures() -> tuple[bytes, bytes]:
    """A photograph of 512 pixels and a crop, as JPEGs."""
    import skimage.data

    source: Any = skimage.data
    photograph = np.ascontiguousarray(source.astronaut()[:, :, ::-1])
    jpegs = [cv2.imencode(".jpg", pixels)[1].tobytes() for pixels in (photograph, photograph[20:200, 150:300])]
    return jpegs[0], jpegs[1]


def _drawn(chance: np.random.Generator, shares: dict[str, float], count: int) -> Any:
    return chance.choice(np.array(list(shares)), count, p=list(shares.values()))


def _ids(prefix: str, count: int) -> list[str]:
    return [hashlib.sha256(f"{prefix}{number}".encode()).hexdigest()[:16] for number in range(count)]


def _write_split(
    storage: Storage, split: str, scale: float, chance: np.random.Generator, picture: bytes, crop: bytes
) -> dict[str, list[str]]:
    """All tables of a split; the ids, photographs and split of its faces that are ok."""
    shards = max(1, int(SHARDS[split] * scale))
    count = int(FACES * SHARES[split] * scale)
    images, faces = _ids(f"{split} image", int(count * 0.98)), _ids(f"{split} face", count)
    # A few hosts have most of the pictures.
    host = np.minimum((HOSTS * chance.random(len(images)) ** 6).astype(int), HOSTS - 1)
    urls = [f"https://img.host{number}.example/{name}.jpg" for number, name in zip(host, images, strict=True)]
    image_shard = np.arange(len(images)) % shards
    image_of = np.arange(count) % len(images)
    fetched = _drawn(chance, IMAGE_OUTCOMES, len(images))
    found = np.where(fetched[image_of] == "fetched", _drawn(chance, FACE_OUTCOMES, count), "no_image")
    names = [f"cropped@{face}.jpg" for face in faces]
    triplets = _triplets(split, faces, found == "ok", int(TRIPLETS * SHARES[split] * scale), chance)
    _write_plan(storage, split, shards, (images, urls, host, image_shard), (faces, image_of, names), triplets)
    for shard in range(shards):
        rows = np.flatnonzero(image_shard == shard)
        _write_segment(storage, split, shard, [(images[row], urls[row], str(fetched[row])) for row in rows], picture)
        of_shard = np.flatnonzero(image_shard[image_of] == shard)
        told = [(faces[row], images[image_of[row]], str(found[row]), names[row]) for row in of_shard]
        _write_faces(storage, split, shard, told, crop, chance)
    ok = np.flatnonzero(found == "ok")
    digest = hashlib.sha256(crop).hexdigest()
    kept = [
        CollectedFace(
            faces[row], images[image_of[row]], int(image_shard[image_of[row]]), names[row], digest, 0.9, "yunet"
        )
        for row in ok
    ]
    _write_collected(storage, split, (fetched, found), triplets, kept)
    return {
        "face_id": [face.face_id for face in kept],
        "image_id": [face.image_id for face in kept],
        "split": [split] * len(ok),
    }


def _triplets(
    split: str, faces: Sequence[str], ok: Any, count: int, chance: np.random.Generator
) -> tuple[list[PlannedTriplet], Any]:
    """Triplets of any faces, and which of them survive."""
    rows = chance.integers(0, len(faces), (count, 3))
    votes = chance.integers(1, 4, (count, 6))
    votes[:, :4] = votes[:, :1]
    annotators = tuple(f"r{number}" for number in range(6))
    planned = [
        PlannedTriplet(line, faces[a], faces[b], faces[c], line % 3 + 1, tuple(vote), annotators, vote[0])
        for line, ((a, b, c), vote) in enumerate(zip(rows.tolist(), votes.tolist(), strict=True), 1)
    ]
    return planned, ok[rows].all(axis=1)


def _write_plan(storage: Storage, split: str, shards: int, images: Any, faces: Any, triplets: Any) -> None:
    ids, urls, host, shard = images
    planned = [
        PlannedImage(name, url, f"host{number}.example", int(where))
        for name, url, number, where in zip(ids, urls, host, shard, strict=True)
    ]
    face_ids, image_of, names = faces
    boxes = [
        PlannedFace(face, ids[row], int(shard[row]), 0.25, 0.6, 0.05, 0.4, name)
        for face, row, name in zip(face_ids, image_of, names, strict=True)
    ]
    folder = layout.plan_dir(split)
    tables.write_table(storage, f"{folder}/images.parquet", tables.from_rows(planned, PlannedImage))
    tables.write_table(storage, f"{folder}/{layout.FACES_TABLE}", tables.from_rows(boxes, PlannedFace))
    tables.write_table(storage, f"{folder}/triplets.parquet", tables.from_rows(triplets[0], PlannedTriplet))
    write_done(storage, folder, Done("plan", "f", "d", {}, {"num_shards": shards}))


def _write_segment(
    storage: Storage, split: str, shard: int, images: Sequence[tuple[str, str, str]], picture: bytes
) -> None:
    """A segment whose images are one and the same picture."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("picture.jpg")
        member.size = len(picture)
        tar.addfile(member, BytesIO(picture))
    place: dict[str, Any] = {"offset": 512, "length": len(picture), "sha256": hashlib.sha256(picture).hexdigest()}
    rows = [
        SegmentRow(name, url, outcome, "", 1, _AT, 200 if there else 404, **(place if there else {}))  # type: ignore[arg-type]
        for name, url, outcome in images
        for there in (outcome == "fetched",)
    ]
    path = layout.segment(split, shard, 0)
    storage.write(f"{path}.tar", packed.getvalue(), durable=False)
    storage.write(f"{path}.parquet", tables.to_bytes(tables.from_rows(rows, SegmentRow)), durable=False)


def _write_faces(
    storage: Storage,
    split: str,
    shard: int,
    faces: Sequence[tuple[str, str, str, str]],
    crop: bytes,
    chance: np.random.Generator,
) -> None:
    """The manifest of a shard, and its crops: one file by many names."""
    folder, digest = layout.faces_dir(split, shard), hashlib.sha256(crop).hexdigest()
    rows = []
    for face, image, outcome, name in faces:
        ok = outcome == "ok"
        seen = outcome not in ("no_image", "no_face")
        low, high = (0.7, 0.95) if ok else (0.4, 0.7)
        rows.append(
            VerifiedFace(
                face,
                image,
                outcome,  # type: ignore[arg-type]
                "",
                "yunet",
                0.25,
                0.6,
                0.05,
                0.4,
                confidence=float(chance.uniform(low, high)) if seen else None,
                image_width=512,
                image_height=512,
                orientation=1,
                crop_name=name if ok else None,
                crop_sha256=digest if ok else None,
                thumbnail=crop if seen and not ok else None,
            )
        )
    storage.write(
        f"{folder}/{layout.FACES_TABLE}", tables.to_bytes(tables.from_rows(rows, VerifiedFace)), durable=False
    )
    first = Path(storage.root, folder, "one-for-all.jpg")
    first.write_bytes(crop)
    for row in rows:
        if row.crop_name:
            os.link(first, first.with_name(row.crop_name))
    storage.write(f"{folder}/{layout.DONE}", _marker(), durable=False)


def _marker() -> bytes:
    """A marker of faces, without waiting for a disk 2,200 times."""
    value = {
        "counts": {},
        "details": {"threshold": 0.7},
        "digest": "d",
        "fingerprint": "f",
        "format": 1,
        "step": "faces",
    }
    return json.dumps(value | {"format": FORMAT_VERSION}).encode()


def _write_collected(
    storage: Storage, split: str, outcomes: Any, triplets: tuple[list[PlannedTriplet], Any], faces: list[CollectedFace]
) -> None:
    planned, survives = triplets
    kept = [
        CollectedTriplet(t.line, t.face_a, t.face_b, t.face_c, t.type, t.votes, t.odd_one_out or 1, 0)
        for t, there in zip(planned, survives, strict=True)
        if there
    ]
    folder = layout.collect_dir(split)
    tables.write_table(storage, f"{folder}/triplets.parquet", tables.from_rows(kept, CollectedTriplet))
    tables.write_table(storage, f"{folder}/{layout.FACES_TABLE}", tables.from_rows(faces, CollectedFace))
    counts = [
        {str(name): int(number) for name, number in zip(*np.unique(one, return_counts=True), strict=True)}
        for one in outcomes
    ]
    types = {"1": 0, "2": len(kept), "3": 0}
    images, all_faces = (len(one) for one in outcomes)
    verified = counts[1]["ok"]
    of = Outcomes(counts[0], counts[1])
    funnel = Funnel(
        images, counts[0]["fetched"], all_faces, verified, len(planned), len(kept), len(kept), 1, 0, types, of
    )
    storage.write(funnel_path(split), funnel.to_bytes())
    write_done(storage, folder, Done("collect", "f", "d", funnel.counts))


if __name__ == "__main__":
    main()
