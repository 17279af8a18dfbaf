"""What every storage root can do, and what a path below it may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """A stored file: its path relative to the root and its size in bytes."""

    path: str
    size: int


class Storage(Protocol):
    """Whole files, put in one go: a reader sees a file complete or not at all.

    A storage is safe to use from several threads and processes at once.
    """

    root: str

    @property
    def local(self) -> bool:
        """Whether the root is a folder of this machine: quick to ask, and as lasting as the machine's disk."""

    def read(self, path: str) -> bytes:
        """The whole file; FileNotFoundError if there is none."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` (fewer at the end of the file); FileNotFoundError if there is none."""

    def size(self, path: str) -> int | None:
        """Bytes, or None if there is no such file."""

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Put a file, replacing an older one in one step.

        Whatever happens to the process, the file is there whole or not at all. ``durable`` promises the same of a
        loss of power; many small files that can be made again go ten times faster without it, and ``sync``, which
        ``fec.done.write_done`` calls first of all, makes up for them all at once.
        """

    def write_file(self, path: str, source: Path) -> None:
        """Put a local file, durably; the source is taken over and must not be used afterwards."""

    def write_if_absent(self, path: str, data: bytes) -> bool:
        """Put a file unless there is one already; whether it was put."""

    def write_file_if_absent(self, path: str, source: Path) -> bool:
        """Put a local file, durably, unless there is one already; whether it was put.

        The source stays, and must not be changed afterwards: a folder keeps it by a second name. It must lie in a
        workspace of this storage. It is never in memory as a whole.
        """

    def same(self, path: str, source: Path) -> bool:
        """Whether the file at ``path``, which is there, has the bytes of a local one."""

    def sync(self) -> None:
        """Return once everything put so far would survive a loss of power."""

    def list(self, directory: str) -> Iterator[Entry]:
        """Every file below ``directory``, sorted by path."""

    def delete(self, path: str) -> None:
        """Remove a file; no error if there is none."""

    def workspace(self, path: str) -> Path:
        """A local folder for unfinished work on ``path``, made if need be.

        With a local root a killed step finds it again; with a remote one it lasts as long as the machine.
        """

    def workspaces(self, directory: str) -> Sequence[Path]:
        """The workspaces there are of paths directly below ``directory``, by name; none is made."""

    def remove_workspace(self, path: str) -> None:
        """Remove the workspace of ``path`` and parents left empty."""

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """The file as a local path to read from while the context lasts; FileNotFoundError if there is none.

        The path has the file's own ending: there are readers that go by it.
        """


def checked(path: str) -> str:
    """``path`` if it stays below a root; ValueError otherwise."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"not a path below the storage root: {path!r}")
    return path
