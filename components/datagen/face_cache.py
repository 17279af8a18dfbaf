"""Every face of a task made small once, in a file on disk: a face is in ten triplets, memory holds none of them."""

from __future__ import annotations

import hashlib
import mmap
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from components.datagen.square import square_face
from fec import layout
from fec.errors import RunFailed
from fec.journal import Journal
from fec.progress import track
from fec.storage import Storage

# Faces under way a worker: enough to keep it busy while the file is written, few enough to hold in memory.
_AHEAD = 8


@dataclass(frozen=True)
class Crop:
    """A verified crop: where it lies below the root, and the digest it must have."""

    face_id: str
    path: str
    sha256: str


class FaceCache:
    """The small faces of a task by face id. A killed task's cache is taken up again by the next one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "faces"
        self._journal = Journal(folder / "faces.journal")
        self._file = self._path.open("a+b")
        size = self._file.seek(0, 2)
        self._places: dict[str, tuple[int, int]] = {}
        for row in self._journal.rows:
            if row["end"] <= size:
                self._places[row["face"]] = (row["start"], row["end"])
        self._map: mmap.mmap | None = None

    def fill(self, storage: Storage, crops: Sequence[Crop], size: int, quality: int, workers: int) -> None:
        """Make the faces of ``crops`` that are not there yet.

        Raises RunFailed, naming the file, if a crop is missing, spoiled or unreadable.
        """
        missing = [crop for crop in crops if crop.face_id not in self._places]
        if not missing:
            return
        cv2.setNumThreads(1)
        with track("encode faces", len(crops), "faces") as progress, ThreadPoolExecutor(workers) as pool:
            progress.advance(len(crops) - len(missing))
            for crop, face in _in_order(pool, storage, missing, size, quality, _AHEAD * workers):
                start = self._file.tell()
                self._file.write(face)
                self._places[crop.face_id] = (start, start + len(face))
                self._file.flush()
                self._journal.append({"face": crop.face_id, "start": start, "end": start + len(face)})
                progress.advance()

    def __getitem__(self, face_id: str) -> bytes:
        if self._map is None:
            self._file.flush()
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        start, end = self._places[face_id]
        return self._map[start:end]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._map is not None:
            self._map.close()
        self._file.close()
        self._journal.close()


def _in_order(
    pool: ThreadPoolExecutor, storage: Storage, crops: Sequence[Crop], size: int, quality: int, ahead: int
) -> Iterator[tuple[Crop, bytes]]:
    """The small faces of ``crops`` in their order, at most ``ahead`` of them under way."""
    waiting: deque[tuple[Crop, Future[bytes]]] = deque()
    for crop in crops:
        waiting.append((crop, pool.submit(_small, storage, crop, size, quality)))
        if len(waiting) >= ahead:
            first, face = waiting.popleft()
            yield first, face.result()
    for crop, face in waiting:
        yield crop, face.result()


def _small(storage: Storage, crop: Crop, size: int, quality: int) -> bytes:
    advice = "run the faces step of its shard again"
    try:
        data = storage.read(crop.path)
    except FileNotFoundError:
        raise RunFailed(f"{crop.path} is missing, though {layout.FACES_TABLE} names it: {advice}") from None
    if hashlib.sha256(data).hexdigest() != crop.sha256:
        raise RunFailed(f"{crop.path} is not the crop {layout.FACES_TABLE} was written for: {advice}")
    try:
        return square_face(data, size, quality)
    except ValueError as error:
        raise RunFailed(f"{crop.path}: {error}: {advice}") from None
