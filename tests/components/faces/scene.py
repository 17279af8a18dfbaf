"""A planned and downloaded split below a root, made of photographs from packages."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fec import identity, layout, tables
from fec.boxes import Box
from fec.done import Done, write_done
from fec.outcomes import ImageOutcome
from fec.pixels import RGB
from fec.rows import PlannedFace
from fec.segments import SegmentWriter, Tried
from fec.storage import Storage, open_storage

AT = datetime(2026, 1, 1, tzinfo=UTC)
NOWHERE = Box(0.7, 0.95, 0.75, 0.98)


@cache
def photograph(name: str) -> RGB:
    """A picture as its package carries it: astronaut, hopper and camera have a face, cat, coffee and rocket none."""
    import matplotlib.cbook
    import skimage.data

    if name == "hopper":
        with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
            return np.asarray(image.convert("RGB"))
    source: Any = skimage.data
    picture = getattr(source, {"cat": "chelsea"}.get(name, name))()
    return np.asarray(Image.fromarray(picture).convert("RGB"))


# The faces in them: left, right, top, bottom in pixels.
FACE_PIXELS = {"astronaut": (178, 268, 63, 176), "hopper": (183, 353, 120, 332), "camera": (196, 257, 113, 194)}
PEOPLE = tuple(FACE_PIXELS)
SCENES = ("cat", "coffee", "rocket")


def face_box(name: str) -> Box:
    height, width = photograph(name).shape[:2]
    left, right, top, bottom = FACE_PIXELS[name]
    return Box(left / width, right / width, top / height, bottom / height)


def encoded(rgb: RGB, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format, **options)
    return buffer.getvalue()


def smaller(rgb: RGB, side: int) -> RGB:
    """The picture at ``side`` pixels on its longer side."""
    image = Image.fromarray(rgb)
    image.thumbnail((side, side))
    return np.asarray(image)


@dataclass(frozen=True)
class Page:
    """A URL, what became of it, and the boxes published for it."""

    url: str
    boxes: Sequence[Box]
    data: bytes | None = None
    outcome: ImageOutcome = ImageOutcome.FETCHED
    detail: str = ""


def downloaded(root: Path, pages: Sequence[Page], split: str = "train", shards: int = 1) -> Storage:
    """A root in which ``pages`` are planned over ``shards`` and downloaded; page number n is in shard n % shards."""
    storage = planned(root, pages, split, shards)
    for shard in range(shards):
        with SegmentWriter(storage, split, shard) as writer:
            fetch(writer, pages[shard::shards])
            finish(storage, writer, pages[shard::shards], split, shard)
    return storage


def planned(root: Path | str, pages: Sequence[Page], split: str = "train", shards: int = 1) -> Storage:
    """A root in which ``pages`` are planned over ``shards``."""
    storage = open_storage(str(root))
    rows = [
        PlannedFace(
            identity.face_id(page.url, box),
            identity.image_id(page.url),
            number % shards,
            **box._asdict(),
            crop_name=identity.crop_name(page.url, box),
        )
        for number, page in enumerate(pages)
        for box in page.boxes
    ]
    rows.sort(key=lambda row: (row.shard, row.image_id, row.face_id))
    directory = layout.plan_dir(split)
    digest = tables.write_table(storage, f"{directory}/faces.parquet", tables.from_rows(rows, PlannedFace))
    write_done(storage, directory, Done("plan", "0" * 64, digest, {}, {"num_shards": shards}))
    return storage


def fetch(writer: SegmentWriter, pages: Sequence[Page]) -> None:
    """Store ``pages`` as a download does."""
    for page in pages:
        tried = Tried(identity.image_id(page.url), page.url, page.outcome, page.detail, 1, AT)
        writer.add(tried, page.data, "jpg")


def finish(
    storage: Storage, writer: SegmentWriter, pages: Sequence[Page], split: str = "train", shard: int = 0
) -> None:
    """End the download of a shard that has all of ``pages``."""
    content = hashlib.sha256()
    for page in pages:
        content.update(page.url.encode() + page.outcome.encode() + (page.data or b""))
    writer.finish()
    write_done(storage, layout.images_dir(split, shard), Done("download", "0" * 64, content.hexdigest()))


def rows(storage: Storage, split: str = "train", shard: int = 0) -> list[dict[str, Any]]:
    """The rows of ``faces.parquet``."""
    path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
    return list(tables.read_table(storage, path).to_pylist())


def row_of(storage: Storage, url: str, split: str = "train", shard: int = 0) -> dict[str, Any]:
    """The row of a page with one box."""
    [row] = [row for row in rows(storage, split, shard) if row["image_id"] == identity.image_id(url)]
    return row


def output(root: Path) -> Mapping[str, bytes]:
    """Everything the faces step wrote below ``root``, and what is left of its work."""
    files = (file for split in layout.SPLITS for file in (root / split).rglob("*") if file.is_file())
    left = (file for file in (root / ".work").rglob("*") if file.is_file() and file.parent.name != "put")
    return {str(file.relative_to(root)): file.read_bytes() for file in (*files, *left)}
