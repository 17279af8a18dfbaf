"""A photograph of one's own: its faces, and where the run's model puts them among those of the root."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from typing import Final

from fec import layout
from fec.errors import ConfigurationError
from fec.storage import Storage
from pipelines.browse.space import Near, Space
from pipelines.embedding.embedder import Embedder, load
from pipelines.embedding.finding import decoded
from pipelines.embedding.models import find_model

NEAREST: Final = 12
# Faces of a group photograph that are looked up.
MAX_FACES: Final = 8


@dataclass(frozen=True)
class OwnFace:
    """A face of the photograph: its crop as a data URL, how sure the detector was, where it lies on the map (0..1 of
    its width and height), and the faces of the root that are nearest."""

    crop: str
    confidence: float | None
    place: tuple[float, float]
    nearest: list[Near]


class Lookup:
    """The run's network, loaded when it is first needed; one photograph at a time goes through it."""

    def __init__(self, storage: Storage, space: Space) -> None:
        self._storage, self._space = storage, space
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None

    def faces(self, data: bytes) -> list[OwnFace]:
        """The faces of the photograph in ``data``; ConfigurationError where it is none, or there is no model."""
        photograph = decoded(data, "the file")
        with self._lock:
            if self._embedder is None:
                run = layout.model_dir(self._space.run)
                self._embedder = load(find_model(f"{self._storage.root}/{run}"))
            if self._embedder.dimension != self._space.vectors.shape[1]:
                raise ConfigurationError(
                    f"the model of {self._space.run} is not the one that its faces were embedded by"
                )
            found = self._embedder.faces(photograph)[:MAX_FACES]
            vectors = self._embedder.of_crops([face.crop for face in found])
        return [
            OwnFace(
                "data:image/jpeg;base64," + base64.b64encode(face.crop).decode(),
                face.confidence,
                self._space.place_of(vector),
                self._space.near(vector, NEAREST),
            )
            for face, vector in zip(found, vectors, strict=True)
        ]
