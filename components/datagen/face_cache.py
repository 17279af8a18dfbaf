"""Every face made small once, in a file on disk: a face is in ten triplets, and memory holds none of them.

The tasks of one machine share the file: it lies where the root's unfinished work does, one task at a time adds
to it, and what a killed task had made stays. A frame of it is the crop's SHA-256, the length of the small
face's JPEG, the CRC-32C of both, the JPEG.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from array import array
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

import cv2
import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.datagen.square import square_face
from fec import layout
from fec.errors import RunFailed
from fec.progress import track
from fec.storage import Storage

_FRAME: Final = struct.Struct("<32sII")
# Crops a thread is given at a time, and such portions under way a thread: enough to keep all of them busy.
_PORTION: Final = 16
_AHEAD: Final = 2


class Crop(NamedTuple):
    """A verified crop: where it lies below the root, and the SHA-256 it must have, 64 hex digits."""

    path: str
    sha256: str


class FaceCache:
    """The small faces of a split's crops, all of one size and quality; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "faces"
        self._file: BinaryIO | None = None
        self._starts: NDArray[np.int64] = np.empty(0, np.int64)
        self._lengths: NDArray[np.int32] = np.empty(0, np.int32)

    def fill(
        self, storage: Storage, split: str, faces: pa.Table, needed: NDArray[np.bool_], size: int, quality: int,
        workers: int,
    ) -> None:  # fmt: skip
        """Make those of ``faces`` (CollectedFace) that are ``needed``, a bool a row, and not there yet.

        Waits while another task adds to the file. Raises RunFailed, naming the crop, if it is missing, spoiled or
        unreadable.
        """
        cv2.setNumThreads(1)
        self._starts = np.full(len(faces), -1, np.int64)
        self._lengths = np.zeros(len(faces), np.int32)
        self._file = _locked(self._path)
        try:
            self._recover(faces)
            missing = np.flatnonzero(needed & (self._starts < 0))
            if len(missing):
                self._make(storage, split, faces, missing, size, quality, workers)
        finally:
            self._file.flush()
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def __getitem__(self, row: int) -> bytes:
        """The JPEG of the face in that row of ``faces``, which must have been needed."""
        assert self._file is not None
        length = int(self._lengths[row])
        face = os.pread(self._file.fileno(), length, int(self._starts[row]))
        if len(face) != length:
            raise RunFailed(f"{self._path} was cut off while it was read: run the datagen step again")
        return face

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _recover(self, faces: pa.Table) -> None:
        """Find what is there already; cut off what is not whole."""
        assert self._file is not None
        crops, starts, lengths = bytearray(), array("q"), array("i")
        end = 0
        self._file.seek(0)
        for crop, face in _frames(self._file):
            crops += crop
            starts.append(end + _FRAME.size)
            lengths.append(len(face))
            end += _FRAME.size + len(face)
        self._file.truncate(end)
        self._file.seek(end)
        if not starts:
            return
        known = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(starts), [None, pa.py_buffer(bytes(crops))])
        digests = b"".join(map(bytes.fromhex, faces["crop_sha256"].to_pylist()))
        wanted = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(faces), [None, pa.py_buffer(digests)])
        place = pc.index_in(wanted, value_set=known).fill_null(-1).to_numpy()
        rows = np.flatnonzero(place >= 0)
        self._starts[rows] = np.asarray(starts)[place[rows]]
        self._lengths[rows] = np.asarray(lengths)[place[rows]]

    def _make(
        self, storage: Storage, split: str, faces: pa.Table, rows: NDArray[np.int64], size: int, quality: int,
        workers: int,
    ) -> None:  # fmt: skip
        assert self._file is not None
        end = self._file.tell()

        def portion(at: int) -> list[tuple[int, bytes, bytes]]:
            part = rows[at : at + _PORTION]
            crops = _crops(split, faces.take(part))
            return [
                (row, bytes.fromhex(crop.sha256), _small(storage, crop, size, quality))
                for row, crop in zip(part.tolist(), crops, strict=True)
            ]

        with track(f"small faces {split}", len(rows), "faces") as progress, ThreadPoolExecutor(workers) as pool:
            under_way: deque[Future[list[tuple[int, bytes, bytes]]]] = deque()
            try:
                for at in range(0, len(rows) + _PORTION * _AHEAD * workers, _PORTION):
                    if at < len(rows):
                        under_way.append(pool.submit(portion, at))
                    if at < _PORTION * _AHEAD * workers or not under_way:
                        continue
                    done = under_way.popleft().result()
                    for row, crop, face in done:
                        self._file.write(_frame(crop, face))
                        self._starts[row], self._lengths[row] = end + _FRAME.size, len(face)
                        end += _FRAME.size + len(face)
                    self._file.flush()
                    progress.advance(len(done))
            finally:
                pool.shutdown(cancel_futures=True)


def _locked(path: Path) -> BinaryIO:
    """The cache, held by this process alone; another one that is done with all of it may remove it meanwhile."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _frame(crop: bytes, face: bytes) -> bytes:
    return _FRAME.pack(crop, len(face), google_crc32c.value(crop + face)) + face


def _frames(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Crop's digest and face of each frame, up to the first that is not whole."""
    while len(header := file.read(_FRAME.size)) == _FRAME.size:
        crop, length, crc = _FRAME.unpack(header)
        face = file.read(length)
        if len(face) != length or google_crc32c.value(crop + face) != crc:
            return
        yield crop, face


def _crops(split: str, faces: pa.Table) -> list[Crop]:
    columns = (faces[name].to_pylist() for name in ("shard", "crop_name", "crop_sha256"))
    return [
        Crop(f"{layout.faces_dir(split, shard)}/{name}", sha256) for shard, name, sha256 in zip(*columns, strict=True)
    ]


def _small(storage: Storage, crop: Crop, size: int, quality: int) -> bytes:
    advice = "run `fec verify`, then delete that folder's _DONE.json and run the faces and collect steps again"
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
