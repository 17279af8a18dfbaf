"""A storage root as plan, download and faces leave it: triplets over crops of real photographs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from fec import identity, layout, tables
from fec.boxes import Box
from fec.done import Done, write_done
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.pixels import encode_jpeg
from fec.rows import PlannedTriplet, VerifiedFace
from fec.storage import open_storage

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@cache
def photograph(name: str) -> np.ndarray[Any, Any]:
    pixels: np.ndarray[Any, Any] = getattr(skimage.data, name)()
    return pixels


@cache
def crop(number: int) -> bytes:
    """The ``number``-th of endless different crops of photographs, 60 to 200 pixels, of any aspect, as JPEG."""
    random = np.random.default_rng(number)
    rgb = photograph(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
    height, width = random.integers(60, 200, 2)
    top, left = random.integers(0, rgb.shape[0] - height), random.integers(0, rgb.shape[1] - width)
    return encode_jpeg(rgb[top : top + height, left : left + width], 95)


@dataclass(frozen=True)
class Scene:
    """Which faces there are and what became of them; faces are numbered.

    Two faces lie in one image. ``outcomes`` names the faces that are not ok, ``lost`` the images that were not
    fetched. ``triplets`` are (faces, type, votes, consensus). ``pictures`` has the SHA-256 and the look of images, and
    ``crops`` the look of faces' crops; others have none.
    """

    faces: int = 40
    triplets: Sequence[tuple[tuple[int, int, int], int, tuple[int, ...], int | None]] = ()
    outcomes: Mapping[int, FaceOutcome] = field(default_factory=dict)
    lost: Mapping[int, ImageOutcome] = field(default_factory=dict)
    pictures: Mapping[int, tuple[str, bytes | None]] = field(default_factory=dict)
    crops: Mapping[int, bytes] = field(default_factory=dict)
    host: str = "photos.example"

    @staticmethod
    def of(count: int, faces: int = 40, **what: Any) -> Scene:
        """``count`` random triplets over ``faces`` faces."""
        random = np.random.default_rng(3)
        triplets = []
        for _ in range(count):
            a, b, c = random.choice(faces, 3, replace=False).tolist()
            odd = int(random.integers(1, 4))
            votes = (odd, odd, odd, odd, odd % 3 + 1, int(random.integers(1, 4)))
            triplets.append(((a, b, c), int(random.integers(1, 4)), votes, odd))
        return Scene(faces, triplets, **what)

    def url(self, face: int) -> str:
        return f"http://{self.host}/{face // 2}.jpg"

    def box(self, face: int) -> Box:
        return Box(0.1, 0.4 + face / 1000, 0.2, 0.7)

    def face_id(self, face: int) -> str:
        return identity.face_id(self.url(face), self.box(face))

    def outcome(self, face: int) -> FaceOutcome:
        return FaceOutcome.NO_IMAGE if face // 2 in self.lost else self.outcomes.get(face, FaceOutcome.OK)

    def number_of(self) -> dict[str, int]:
        """The number of each face by its id."""
        return {self.face_id(face): face for face in range(self.faces)}


def write(root: Path, scene: Scene, split: str = layout.TRAIN, shards: int = 2) -> None:
    """The root after the faces step, the images spread over ``shards`` shards."""
    storage = open_storage(str(root))
    rows: list[list[VerifiedFace]] = [[] for _ in range(shards)]
    images: list[set[int]] = [set() for _ in range(shards)]
    for face in range(scene.faces):
        url, box = scene.url(face), scene.box(face)
        shard = face // 2 % shards
        images[shard].add(face // 2)
        row = VerifiedFace(
            scene.face_id(face),
            identity.image_id(url),
            scene.outcome(face),
            "",
            "yunet",
            box.left,
            box.right,
            box.top,
            box.bottom,
        )
        sha256, look = scene.pictures.get(face // 2, (None, None))
        row = replace(row, image_sha256=sha256, image_likeness=look)
        if scene.outcome(face) is FaceOutcome.OK:
            row = replace(row, crop_likeness=scene.crops.get(face))
            name = identity.crop_name(url, box)
            storage.write(f"{layout.faces_dir(split, shard)}/{name}", crop(face))
            digest = hashlib.sha256(crop(face)).hexdigest()
            row = replace(row, confidence=0.75 + face / 1000, crop_name=name, crop_sha256=digest)
        rows[shard].append(row)
    for shard in range(shards):
        faces_dir, images_dir = layout.faces_dir(split, shard), layout.images_dir(split, shard)
        found = sorted(rows[shard], key=lambda row: (row.image_id, row.face_id))
        tables.write_table(storage, f"{faces_dir}/{layout.FACES_TABLE}", tables.from_rows(found, VerifiedFace))
        digest = tables.verified_digest((row.face_id, row.outcome, row.crop_name, row.crop_sha256) for row in found)
        write_done(storage, faces_dir, Done("faces", "f", digest))
        outcomes = Counter(str(scene.lost.get(image, ImageOutcome.FETCHED)) for image in images[shard])
        counts = {"images": len(images[shard]), "transient": 0, **outcomes}
        write_done(storage, images_dir, Done("download", "f", json.dumps(counts), counts))
    planned = [
        PlannedTriplet(
            line,
            scene.face_id(faces[0]),
            scene.face_id(faces[1]),
            scene.face_id(faces[2]),
            kind,
            votes,
            [f"rater-{number}" for number in range(len(votes))],
            odd,
        )
        for line, (faces, kind, votes, odd) in enumerate(scene.triplets, start=1)
    ]
    plan_dir = layout.plan_dir(split)
    digest = tables.write_table(storage, f"{plan_dir}/triplets.parquet", tables.from_rows(planned, PlannedTriplet))
    count = sum(map(len, images))
    write_done(
        storage, plan_dir, Done("plan", "f", digest, {"images": count, "shards": shards}, {"num_shards": shards})
    )


def contents(root: Path, below: str) -> dict[str, bytes]:
    """Every file below a folder of the root, by its path in the root."""
    return {str(file.relative_to(root)): file.read_bytes() for file in (root / below).rglob("*") if file.is_file()}
