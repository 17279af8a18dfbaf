"""The faces of one's own photographs with their embeddings, as rows and as a Parquet table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.progress import track
from pipelines.embedding.embedder import BATCH, Embedder, Vectors
from pipelines.embedding.finding import FaceInPicture, read_photograph

# Digits of a coordinate that is shown.
_DIGITS: Final = 3


class PictureOutcome(StrEnum):
    """What became of a picture."""

    OK = "ok"
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class EmbeddedPicture:
    """A face of a picture, ``face`` from the left, from 1; or, with none, why the picture has no row of its own faces.

    ``crop`` is what was embedded, as a JPEG.
    """

    picture: Path
    outcome: PictureOutcome
    detail: str = ""
    face: int | None = None
    box: Box | None = None
    confidence: float | None = None
    crop: bytes = b""
    vector: Vectors | None = None

    def as_json(self) -> dict[str, Any]:
        """The row as JSON can carry it; the vector to six digits."""
        box = None if self.box is None else [round(edge, 6) for edge in _edges(self.box)]
        vector = None if self.vector is None else [round(float(value), 6) for value in self.vector]
        return {
            "picture": str(self.picture),
            "outcome": str(self.outcome),
            "detail": self.detail,
            "face": self.face,
            "box": box,
            "confidence": self.confidence,
            "embedding": vector,
        }

    def as_text(self) -> str:
        """The row for a person."""
        if self.box is None or self.vector is None:
            return f"{self.picture}: {self.detail}"
        left, right, top, bottom = (f"{edge:.{_DIGITS}f}" for edge in _edges(self.box))
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        numbers = " ".join(f"{value:.{_DIGITS}f}" for value in self.vector)
        return f"{self.picture}: face {self.face} at {left}-{right}, {top}-{bottom}{sure}\n  {numbers}"


def embed_pictures(
    embedder: Embedder, pictures: Sequence[Path], boxes: Mapping[Path, Sequence[Box]] | None = None
) -> Iterator[EmbeddedPicture]:
    """Every face of ``pictures``, in order; at the ``boxes``, where there are some, and else as found.

    A picture without a face, or that cannot be read, is a row that says so.
    """
    waiting: list[EmbeddedPicture] = []
    with track("embed", len(pictures), "pictures") as progress:
        for picture in pictures:
            rows = _rows(embedder, picture, None if boxes is None else boxes.get(picture.resolve(), ()))
            waiting += rows
            progress.advance(1, str(rows[0].outcome))
            if sum(row.face is not None for row in waiting) >= BATCH:
                yield from _embedded(embedder, waiting)
                waiting = []
    yield from _embedded(embedder, waiting)


def _rows(embedder: Embedder, picture: Path, boxes: Sequence[Box] | None) -> list[EmbeddedPicture]:
    try:
        photograph = read_photograph(picture)
        faces = embedder.faces(photograph) if boxes is None else [embedder.cut(photograph, box) for box in boxes]
    except ConfigurationError as error:
        detail = str(error).removeprefix(f"{picture}: ")
        return [EmbeddedPicture(picture, PictureOutcome.UNREADABLE, detail)]
    if not faces:
        why = "no face was found in it" if boxes is None else "no box is given for it"
        return [EmbeddedPicture(picture, PictureOutcome.NO_FACE, why)]
    return [_row(picture, number, face) for number, face in enumerate(faces, 1)]


def _row(picture: Path, number: int, face: FaceInPicture) -> EmbeddedPicture:
    ok = PictureOutcome.OK
    return EmbeddedPicture(picture, ok, "", number, face.box, face.confidence, face.crop)


def _embedded(embedder: Embedder, rows: Sequence[EmbeddedPicture]) -> Iterator[EmbeddedPicture]:
    vectors = iter(embedder.of_crops(row.crop for row in rows if row.face is not None))
    for row in rows:
        yield row if row.face is None else EmbeddedPicture(**{**vars(row), "vector": next(vectors)})


def to_table(rows: Sequence[EmbeddedPicture], dimension: int) -> pa.Table:
    """The rows as a table: ``embedding`` is a list of ``dimension`` float32, null where there is no face."""
    vectors = [None if row.vector is None else np.asarray(row.vector, np.float32) for row in rows]
    edges = [(None,) * 4 if row.box is None else _edges(row.box) for row in rows]
    columns: dict[str, pa.Array] = {
        "picture": pa.array([str(row.picture) for row in rows], pa.string()),
        "outcome": pa.array([str(row.outcome) for row in rows], pa.string()),
        "detail": pa.array([row.detail for row in rows], pa.string()),
        "face": pa.array([row.face for row in rows], pa.int32()),
        **{
            name: pa.array([edge[place] for edge in edges], pa.float64())
            for place, name in enumerate(("left", "right", "top", "bottom"))
        },
        "confidence": pa.array([row.confidence for row in rows], pa.float32()),
        "embedding": pa.array(vectors, pa.list_(pa.float32(), dimension)),
    }
    return pa.table(columns)


def write_parquet(path: Path, rows: Sequence[EmbeddedPicture], dimension: int) -> None:
    """Put the rows into a Parquet file; ConfigurationError where it cannot be written."""
    try:
        pq.write_table(to_table(rows, dimension), path, compression="zstd")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error})") from None


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.right, box.top, box.bottom
