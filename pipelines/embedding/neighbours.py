"""The faces whose expressions are nearest to one, among those of a root or of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fec import embeddings
from fec.dataset import Dataset
from fec.dataset import open as open_dataset
from fec.errors import ConfigurationError
from fec.outcomes import FaceOutcome
from fec.progress import track
from fec.storage import is_local
from pipelines.embedding.embedder import Embedder, Vectors
from pipelines.embedding.faces_table import embed_pictures
from pipelines.embedding.models import ModelPlace
from pipelines.embedding.pictures import pictures_in


@dataclass(frozen=True)
class Candidates:
    """Faces to choose from: what each is called, where it is from, its vector (float32 [n, d]), and its crop (JPEG)."""

    names: Sequence[str]
    sources: Sequence[str]
    vectors: Vectors
    crop: Callable[[int], bytes]


@dataclass(frozen=True)
class Neighbour:
    """A face near the one that was asked for; ``distance`` 0..2, and its ``crop`` as a JPEG."""

    name: str
    source: str
    distance: float
    crop: bytes


def candidates_among(among: str, embedder: Embedder, place: ModelPlace) -> Candidates:
    """The faces of ``among``, a storage root or a folder of pictures; ConfigurationError where it has none."""
    if is_local(among) and not Path(among, "plan").is_dir():
        return _of_folder(among, embedder)
    return _of_root(open_dataset(among), embedder, place)


def nearest(candidates: Candidates, vector: Vectors, count: int) -> list[Neighbour]:
    """The ``count`` nearest, the nearest first; fewer where there are no more."""
    apart = np.linalg.norm(candidates.vectors - vector, axis=1)
    order = np.argsort(apart, kind="stable")[:count]
    return [
        Neighbour(candidates.names[row], candidates.sources[row], float(apart[row]), candidates.crop(row))
        for row in order.tolist()
    ]


def _of_folder(folder: str, embedder: Embedder) -> Candidates:
    faces = [row for row in embed_pictures(embedder, pictures_in([folder])) if row.vector is not None]
    if not faces:
        raise ConfigurationError(f"--among {folder}: no face was found in any picture of it")
    names = [f"{row.picture.name}" + (f" (face {row.face})" if (row.face or 1) > 1 else "") for row in faces]
    vectors = np.stack([row.vector for row in faces if row.vector is not None])
    return Candidates(names, [str(row.picture) for row in faces], vectors, lambda row: faces[row].crop)


def _of_root(dataset: Dataset, embedder: Embedder, place: ModelPlace) -> Candidates:
    kept = dataset.faces.arrow.select(["face_id", "image_id", "outcome"]).to_pylist()
    image_of = {row["face_id"]: row["image_id"] for row in kept if row["outcome"] == FaceOutcome.OK}
    if not image_of:
        raise ConfigurationError(f"--among {dataset.root}: it has no verified faces yet")
    ids, vectors = _stored(dataset, place, image_of) or _computed(dataset, embedder, list(image_of))
    url_of = dict(zip(*(dataset.images[name].to_pylist() for name in ("image_id", "url")), strict=True))
    sources = [url_of[image_of[face]] for face in ids]
    return Candidates(ids, sources, vectors, lambda row: dataset.crop_bytes(ids[row]))


def _stored(dataset: Dataset, place: ModelPlace, known: dict[str, Any]) -> tuple[list[str], Vectors] | None:
    """What the evaluation of this very model has stored of the faces that are still there, if it has."""
    if place.storage.root != dataset.root:
        return None
    try:
        found = embeddings.read_embeddings(place.storage, place.run)
    except ConfigurationError:
        return None
    first = {face: row for row, face in reversed(list(enumerate(found.face_ids))) if face in known}
    ids = sorted(first)
    return (ids, found.vectors[[first[face] for face in ids]]) if ids else None


def _computed(dataset: Dataset, embedder: Embedder, ids: list[str]) -> tuple[list[str], Vectors]:
    def crops() -> Iterator[bytes]:
        with track("embed", len(ids), "faces") as progress:
            for face in ids:
                yield dataset.crop_bytes(face)
                progress.advance()

    return ids, embedder.of_crops(crops())
