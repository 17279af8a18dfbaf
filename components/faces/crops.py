"""How what a verdict keeps of a face is stored; and images whose workers read originals and store crops themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from components.faces.verification import Verdict, WantedFace
from fec import layout
from fec.original import Original
from fec.rows import VerifiedFace
from fec.storage import Storage


@dataclass(frozen=True)
class ImageInPlace:
    """A fetched image of a root that is a folder, and the faces published for it.

    Its worker reads the original and stores the crops, so that as many cores are at it as there are workers: a bucket
    lets one wait, and is read and written by many threads of the step's own process instead.
    """

    storage: Storage
    split: str
    shard: int
    original: Original
    wanted: tuple[WantedFace, ...]

    def read(self) -> bytes:
        """The original."""
        return self.original.read(self.storage)

    def put(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Store the crops; the verdicts without them."""
        store(self.storage, self.split, self.shard, verdicts)
        return [replace(verdict, crop=None, rejected=None) for verdict in verdicts]


def store(storage: Storage, split: str, shard: int, verdicts: Sequence[Verdict]) -> None:
    """Store the crops of one image's verdicts."""
    for verdict in verdicts:
        if verdict.crop is not None:
            path = f"{layout.faces_dir(split, shard)}/{verdict.face.crop_name}"
            storage.write(path, verdict.crop, durable=False)
        if verdict.rejected is not None:
            storage.write(rejected_path(split, shard, verdict.face), verdict.rejected, durable=False)


def rows(verdicts: Sequence[Verdict], image_sha256: str | None) -> list[VerifiedFace]:
    """The rows of one image's verdicts, whose crops are stored."""
    return [replace(verdict.face, image_sha256=image_sha256) for verdict in verdicts]


def rejected_path(split: str, shard: int, face: VerifiedFace) -> str:
    """Where the crop of a rejected face lies, if it is kept."""
    return layout.rejected_crop(split, shard, str(face.outcome), face.face_id)
