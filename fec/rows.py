"""A row of every Parquet table, field by field: the tables' columns follow from these (``fec.tables.schema``).

The order of the fields is that of the columns. A field that may be None is a column that may be null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from fec.outcomes import FaceOutcome, ImageOutcome

# What a column keeps of a number, where that is not all of it.
Int8: TypeAlias = Annotated[int, "int8"]
Int16: TypeAlias = Annotated[int, "int16"]
Int32: TypeAlias = Annotated[int, "int32"]
Float32: TypeAlias = Annotated[float, "float32"]
# A field that is never None in a column that may be null, as it was first written.
NULLABLE: Final = "nullable"
# A column that tables of earlier versions lack; its field has a default.
LATER: Final = "later"

# The columns that name a triplet's faces.
FACE_COLUMNS: Final = ("face_a", "face_b", "face_c")


@dataclass(frozen=True)
class PlannedImage:
    """``plan/<split>/images.parquet``: a unique URL; sorted by (shard, image_id).

    ``host_key`` is what one rate limit covers: a registrable domain or an address.
    """

    image_id: str
    url: str
    host_key: str
    shard: Int32


@dataclass(frozen=True)
class PlannedFace:
    """``plan/<split>/faces.parquet``: a unique (image, box); sorted by (shard, image_id, face_id).

    The edges are those of the published box, fractions of the image.
    """

    face_id: str
    image_id: str
    shard: Int32
    left: float
    right: float
    top: float
    bottom: float
    crop_name: str


@dataclass(frozen=True)
class StoredElsewhere:
    """``plan/<split>/stored.parquet``: an image of the plan that has a final outcome below the root, and the segment
    that has it; sorted by image_id.

    It comes from an earlier plan or from the other split. The table is absent where there is none.
    """

    image_id: str
    split: str
    shard: Int32
    segment: Int32


@dataclass(frozen=True)
class _LabelledTriplet:
    """What every table of triplets says of one.

    ``line`` is the 1-based line of the CSV and names the triplet within its split. ``type``: 1, 2, 3 (ONE_, TWO_,
    THREE_CLASS_TRIPLET). ``votes`` are in the CSV's order, each 1..3: the face least alike.
    """

    line: Int32
    face_a: str
    face_b: str
    face_c: str
    type: Int8
    votes: Sequence[Int8]

    @property
    def faces(self) -> tuple[str, str, str]:
        """The ids of its faces."""
        return self.face_a, self.face_b, self.face_c


@dataclass(frozen=True)
class PlannedTriplet(_LabelledTriplet):
    """``plan/<split>/triplets.parquet``: a triplet, in the CSV's order; ``odd_one_out`` is the consensus, 1..3."""

    annotators: Sequence[str]
    odd_one_out: Int8 | None


@dataclass(frozen=True)
class CollectedTriplet(_LabelledTriplet):
    """``collect/<split>/triplets.parquet``: a surviving triplet with a consensus, in the order of the records."""

    odd_one_out: Int8
    record_shard: Int32


@dataclass(frozen=True)
class CollectedFace:
    """``collect/<split>/faces.parquet``: a face that those triplets use; sorted by (shard, face_id).

    The crop lies in ``<split>/<shard>/<crop_name>``.
    """

    face_id: str
    image_id: str
    shard: Int32
    crop_name: str
    crop_sha256: str
    confidence: Float32
    detector: str


@dataclass(frozen=True)
class LeakingFace:
    """``collect/train/leaks.parquet``: a verified face of train that eval has as well; sorted by face_id.

    ``kind`` says what is the same: ``bytes`` (of the images), ``image`` (they look nearly the same, as they are or
    mirrored) or ``crop`` (the crops do), and ``bits`` in how many of 256 they differ. ``eval_image_id`` is
    the image of eval.
    """

    face_id: str
    image_id: str
    kind: str
    bits: Int16
    eval_image_id: str


@dataclass(frozen=True)
class Tried:
    """What became of one image when it was tried.

    ``http_status`` is that of the last answer, ``final_url`` where redirects led; ``headers`` have lower-case names,
    and are those worth keeping. ``cause`` is the option an outcome of ours came of, as ``name=value``.

    ``archive`` is the template of the web archive in which the image was looked for when its host had it no more, and
    ``archive_outcome`` and ``archive_detail`` what came of that, with its ``cause``. If it was ``fetched`` there, so is
    the image, and status, headers and ``final_url`` are the archive's; else all else is its host's.
    """

    image_id: str
    url: str
    outcome: ImageOutcome
    detail: str
    attempts: Int16
    finished_at: datetime
    http_status: Int16 | None = None
    final_url: str | None = None
    headers: Annotated[Mapping[str, str], NULLABLE] = field(default_factory=dict)
    cause: Annotated[str | None, LATER] = None
    archive: Annotated[str | None, LATER] = None
    archive_outcome: Annotated[str | None, LATER] = None
    archive_detail: Annotated[str | None, LATER] = None


@dataclass(frozen=True)
class SegmentRow(Tried):
    """``images/<split>/<shard>/segment-NNNNN.parquet``: an image that was tried, in the order of the segment.

    If it was fetched, its bytes lie in ``segment-NNNNN.tar`` at ``offset``. Of several rows for one image (a transient
    failure tried again) that of the highest segment counts.
    """

    offset: int | None = None
    length: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class VerifiedFace:
    """``<split>/<shard>/faces.parquet``: a face of the shard; sorted by (image_id, face_id).

    ``confidence`` is 0..1 on the detector's own scale, None where nothing was found. ``left`` and so on: the published
    box, fractions. ``image_width`` and ``image_height`` are pixels as the boxes mean the image, after the EXIF
    ``orientation`` was applied (1: none). ``crop_left`` and so on: the crop in pixels of that image, right and bottom
    exclusive, and beyond its border where edges were repeated. ``found_left`` and so on: the face the detector found,
    fractions of the crop. ``crop_name`` is a file beside the table, None unless the outcome is ok; ``thumbnail`` a
    small JPEG of a crop that was rejected, so that why can be seen.

    ``blur`` is the variance of the crop's Laplacian at 160 pixels, low where it is blurred. ``landmarks``: x and y of
    the eyes, the nose and the mouth's corners, fractions of the crop, and ``roll`` (degrees), ``yaw`` and ``pitch``
    (ratios) what follows from them (``components.faces.judging``). ``exif_orientation`` is the one the file asks for,
    whether or not it was applied.

    ``image_sha256`` is that of the original. ``image_likeness`` and ``crop_likeness`` are 32 bytes each, of which those
    of pictures that look nearly the same differ in few bits (``components.faces.likeness``); None where there is too
    little to be seen. ``rejected_sha256`` is that of a rejected crop that was kept (``fec.layout.rejected_crop``).
    """

    face_id: str
    image_id: str
    outcome: FaceOutcome
    detail: str
    confidence: Float32 | None = field(default=None, kw_only=True)
    detector: str
    left: float
    right: float
    top: float
    bottom: float
    image_width: Int32 | None = None
    image_height: Int32 | None = None
    orientation: Int8 | None = None
    crop_left: Int32 | None = None
    crop_right: Int32 | None = None
    crop_top: Int32 | None = None
    crop_bottom: Int32 | None = None
    found_left: Float32 | None = None
    found_right: Float32 | None = None
    found_top: Float32 | None = None
    found_bottom: Float32 | None = None
    crop_name: str | None = None
    crop_sha256: str | None = None
    thumbnail: bytes | None = None
    blur: Annotated[Float32 | None, LATER] = None
    roll: Annotated[Float32 | None, LATER] = None
    yaw: Annotated[Float32 | None, LATER] = None
    pitch: Annotated[Float32 | None, LATER] = None
    landmarks: Annotated[Sequence[Float32] | None, LATER] = None
    exif_orientation: Annotated[Int8 | None, LATER] = None
    image_sha256: Annotated[str | None, LATER] = None
    image_likeness: Annotated[bytes | None, LATER] = None
    crop_likeness: Annotated[bytes | None, LATER] = None
    rejected_sha256: Annotated[str | None, LATER] = None


@dataclass(frozen=True)
class EmbeddedFace:
    """``reports/<run>/embeddings.parquet``: a face of the records, and where the run's model puts it.

    Sorted by (split, face_id); a face that both splits use has a row in each. ``embedding`` is a unit vector, of 16
    numbers unless the model was trained with another size: faces with like expressions are near to each other.
    """

    face_id: str
    image_id: str
    split: str
    embedding: Sequence[Float32]
