"""A storage root from triplets of pictures: as plan, download and faces would leave it, then collected into records."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import cv2
import numpy as np

from components.collect.parameters import Parameters as Collect
from components.collect.step import run as collect
from components.datagen.parameters import Parameters as Datagen
from components.datagen.step import run as datagen
from components.plan.parameters import Parameters as Plan
from components.plan.step import run as plan
from fec import identity, layout, segments, tables
from fec.done import Done, finished, read_done, write_done
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.progress import event
from fec.rows import PlannedFace, PlannedImage, Tried, VerifiedFace
from fec.segments import SegmentWriter
from fec.storage import Storage, open_storage
from pipelines.folders.drawing import DrawnTriplet
from pipelines.folders.pictures import Picture

# What the manifests call it: the pictures are taken as they are, no detector has looked at them.
DETECTOR: Final = "none"
# Below the root; the real annotations of a set of one's own would be no others.
ANNOTATIONS: Final = "annotations"
RATERS: Final = 6
# JPEG quality of the crop of a picture that is none.
CROP_QUALITY: Final = 95
_SHARD: Final = 0


def url_of(picture: Picture) -> str:
    """The address that stands for a picture; its host stands for the subject, as an account does on the web."""
    host = hashlib.sha256(picture.subject.encode()).hexdigest()[:12]
    return f"http://s{host}.folder.example/{quote(picture.label)}/{quote(picture.name)}"


def write_root(root: Path, drawn: Mapping[str, Sequence[DrawnTriplet]], image_size: int) -> None:
    """Make the storage root from the triplets of each split: everything up to records of ``image_size`` pixels."""
    storage = open_storage(str(root))
    for split, triplets in drawn.items():
        annotations = root / ANNOTATIONS / f"{split}.csv"
        annotations.parent.mkdir(parents=True, exist_ok=True)
        write_csv(annotations, triplets)
        plan(Plan(root=str(root), split=split, annotations=str(annotations), num_shards=1, max_groups=1))
        pictures = {url_of(picture): picture for triplet in triplets for picture in triplet.pictures}
        _store(storage, split, pictures)
        event("triplets", f"{split}: {len(triplets):,} triplets of {len(pictures):,} pictures")
    # After both: of train it is told what eval has as well.
    for split in drawn:
        for group in collect(Collect(root=str(root), split=split)):
            datagen(Datagen(root=str(root), split=split, group=group, image_size=image_size))


def write_csv(path: Path, triplets: Sequence[DrawnTriplet]) -> None:
    """The triplets as FEC's annotations are written; RATERS raters name the odd face of one that has no votes."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for triplet in triplets:
            faces = [value for picture in triplet.pictures for value in (url_of(picture), 0.0, 1.0, 0.0, 1.0)]
            given = triplet.votes or (triplet.odd_one_out,) * RATERS
            votes = [value for rater, vote in enumerate(given) for value in (f"rater{rater}", vote)]
            writer.writerow([*faces, "TWO_CLASS_TRIPLET", *votes])


def _store(storage: Storage, split: str, pictures: Mapping[str, Picture]) -> None:
    """Originals, crops and their manifests of the plan's one shard, unless they are there."""
    planned = read_done(storage, layout.plan_dir(split))
    assert planned is not None
    fingerprint = identity.fingerprint({"plan": planned.digest, "crop_quality": CROP_QUALITY})
    images_dir, faces_dir = layout.images_dir(split, _SHARD), layout.faces_dir(split, _SHARD)
    if finished(storage, faces_dir, fingerprint) is not None:
        return
    for directory in (images_dir, faces_dir):
        for entry in list(storage.list(directory)):
            storage.delete(entry.path)
    images = list(tables.read_rows(storage, f"{layout.plan_dir(split)}/images.parquet", PlannedImage))
    faces = tables.read_rows(storage, f"{layout.plan_dir(split)}/{layout.FACES_TABLE}", PlannedFace)
    face_of = {face.image_id: face for face in faces}
    originals, verified = [], []
    with SegmentWriter(storage, split, _SHARD) as writer:
        for image in sorted(images, key=lambda image: image.image_id):
            path = pictures[image.url].path
            content = path.read_bytes()
            tried = Tried(image.image_id, image.url, ImageOutcome.FETCHED, "", 1, datetime.now(UTC), 200, image.url)
            writer.add(tried, content, path.suffix.lstrip(".") or "bin")
            originals.append((image.image_id, ImageOutcome.FETCHED, hashlib.sha256(content).hexdigest()))
            verified.append(_stored_face(storage, split, face_of[image.image_id], content))
        writer.seal()
    storage.remove_workspace(images_dir)
    details: dict[str, Any] = {
        "tried_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifests": segments.manifest_digests(storage, split, _SHARD),
    }
    counts = {"images": len(images), "transient": 0, str(ImageOutcome.FETCHED): len(images)}
    digest = segments.originals_digest(originals)
    write_done(storage, images_dir, Done("download", fingerprint, digest, counts, details))
    table = tables.from_rows(verified, VerifiedFace)
    written = tables.write_table(storage, f"{faces_dir}/{layout.FACES_TABLE}", table)
    digest = tables.verified_digest((face.face_id, face.outcome, face.crop_name, face.crop_sha256) for face in verified)
    counts = {"images": len(images), "faces": len(verified), **Counter(str(face.outcome) for face in verified)}
    write_done(storage, faces_dir, Done("faces", fingerprint, digest, counts, {"table_sha256": written}))


def _stored_face(storage: Storage, split: str, face: PlannedFace, content: bytes) -> VerifiedFace:
    """Store the crop of a face, all of its picture; its row of the manifest."""
    box = (face.left, face.right, face.top, face.bottom)
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if pixels is None:
        outcome = FaceOutcome.UNREADABLE
        return VerifiedFace(face.face_id, face.image_id, outcome, "the file is cut short", DETECTOR, *box)
    height, width = pixels.shape[:2]
    crop = content
    if not content.startswith(b"\xff\xd8"):
        crop = bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, CROP_QUALITY])[1])
    storage.write(f"{layout.faces_dir(split, _SHARD)}/{face.crop_name}", crop, durable=False)
    return VerifiedFace(
        face.face_id,
        face.image_id,
        FaceOutcome.OK,
        "",
        DETECTOR,
        *box,
        confidence=1.0,
        image_width=width,
        image_height=height,
        orientation=1,
        crop_left=0,
        crop_right=width,
        crop_top=0,
        crop_bottom=height,
        crop_name=face.crop_name,
        crop_sha256=hashlib.sha256(crop).hexdigest(),
    )
