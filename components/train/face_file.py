"""The faces of the records on this machine's disk, so that memory does not grow with them."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from fec.errors import RunFailed

# Gathered before they are written.
_BUFFER: Final = 1 << 20


class Jpegs(Protocol):
    """JPEGs by number: a list of them, or a ``FaceFile``."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> bytes: ...

    def __iter__(self) -> Iterator[bytes]: ...


class FaceFile:
    """JPEGs one after the other in a file without a name, which is gone with the process, however that ends.

    In memory are 12 bytes a face. They are read with ``pread``, from any thread, once the last was added.
    ``folder``: where the file lies; None: where temporary files do. Raises RunFailed where the disk is full.
    """

    def __init__(self, folder: Path | None = None) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._starts, self._lengths = array("q"), array("i")
        self._size = 0
        self._waiting = bytearray()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[bytes]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> bytes:
        with self._lock:
            self._write()
        return os.pread(self._descriptor, self._lengths[number], self._starts[number])

    def append(self, jpeg: bytes) -> None:
        """Add a face, whose number is how many there were before."""
        self._starts.append(self._size)
        self._lengths.append(len(jpeg))
        self._size += len(jpeg)
        self._waiting += jpeg
        if len(self._waiting) >= _BUFFER:
            self._write()

    def renumber(self, numbers: Sequence[int]) -> None:
        """Number the faces ``numbers`` from 0 on in that order, and forget the others."""
        self._starts = array("q", (self._starts[number] for number in numbers))
        self._lengths = array("i", (self._lengths[number] for number in numbers))

    def _write(self) -> None:
        try:
            with memoryview(self._waiting) as waiting:
                written = 0
                while written < len(waiting):
                    written += os.write(self._descriptor, waiting[written:])
        except OSError as error:
            raise RunFailed(
                f"the faces of the records could not be kept on this machine's disk: {error.strerror}; mend that and "
                "run again"
            ) from None
        self._waiting.clear()
