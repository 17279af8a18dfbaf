"""The storage root: the only thing the steps agree on, wherever it is.

``open_storage`` gives a local folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix`` behind one small
protocol. Paths are relative to the root, with ``/``, never absolute, never with ``..``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from fec.errors import ConfigurationError

# Hidden, on the file system of the root: where a local run keeps what is not finished.
WORKSPACE = ".work"


@dataclass(frozen=True)
class Entry:
    """A stored file: its path relative to the root and its size in bytes."""

    path: str
    size: int


class Storage(Protocol):
    """Whole files, put in one go: a reader sees a file complete or not at all."""

    root: str

    def read(self, path: str) -> bytes:
        """The whole file; FileNotFoundError if there is none."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` (fewer at the end of the file)."""

    def size(self, path: str) -> int | None:
        """Bytes, or None if there is no such file."""

    def write(self, path: str, data: bytes) -> None:
        """Put a file, replacing an older one in one step."""

    def write_file(self, path: str, source: Path) -> None:
        """Put a local file; the source is taken over and must not be used afterwards."""

    def write_if_absent(self, path: str, data: bytes) -> bool:
        """Put a file unless there is one already; whether it was put."""

    def list(self, directory: str) -> Iterator[Entry]:
        """Every file below ``directory``, sorted by path."""

    def delete(self, path: str) -> None:
        """Remove a file; no error if there is none."""

    def workspace(self, path: str) -> Path:
        """A local folder for unfinished work on ``path``, made if need be.

        With a local root a killed step finds it again; with a remote one it lasts as long as the machine.
        """

    def remove_workspace(self, path: str) -> None:
        """Remove the workspace of ``path`` and parents left empty."""

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """The file as a local path to read from while the context lasts."""


def open_storage(root: str) -> Storage:
    """The storage behind ``root``; raises ConfigurationError where it cannot be written."""
    scheme, separator, _ = root.partition("://")
    if not separator:
        return LocalStorage(root)
    raise ConfigurationError(
        f"root {root!r}: {scheme}:// is not supported; use a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"
    )


def checked(path: str) -> str:
    """``path`` if it stays below a root; ValueError otherwise."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"not a path below the storage root: {path!r}")
    return path


class LocalStorage:
    """A folder: temporary file, fsync, rename."""

    def __init__(self, root: str) -> None:
        self._base = Path(root).expanduser().absolute()
        self.root = str(self._base)
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._base):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"root {root!r} cannot be written ({error.strerror}); choose a folder you may write to"
            ) from None

    def _path(self, path: str) -> Path:
        return self._base / checked(path)

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with open(self._path(path), "rb") as file:
            return os.pread(file.fileno(), length, offset)

    def size(self, path: str) -> int | None:
        try:
            return self._path(path).stat().st_size
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        temporary = self._temporary(path)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._move(temporary, path)

    def write_file(self, path: str, source: Path) -> None:
        with open(source, "rb") as file:
            os.fsync(file.fileno())
        try:
            self._move(source, path)
        except OSError:  # another file system: copy first, so that the rename stays one step
            temporary = self._temporary(path)
            shutil.copyfile(source, temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            self._move(temporary, path)
            source.unlink()

    def write_if_absent(self, path: str, data: bytes) -> bool:
        temporary = self._temporary(path)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    def list(self, directory: str) -> Iterator[Entry]:
        base = self._path(directory)
        found = []
        for folder, folders, files in os.walk(base):
            folders[:] = [name for name in folders if name != WORKSPACE]
            for name in files:
                full = Path(folder, name)
                found.append(Entry(full.relative_to(self._base).as_posix(), full.stat().st_size))
        return iter(sorted(found, key=lambda entry: entry.path))

    def delete(self, path: str) -> None:
        self._path(path).unlink(missing_ok=True)

    def workspace(self, path: str) -> Path:
        folder = self._base / WORKSPACE / checked(path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def remove_workspace(self, path: str) -> None:
        folder = self._base / WORKSPACE / checked(path)
        shutil.rmtree(folder, ignore_errors=True)
        for parent in folder.parents:
            if parent == self._base:
                break
            try:
                parent.rmdir()
            except OSError:
                break

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        yield self._path(path)

    def _temporary(self, path: str) -> Path:
        folder = self._base / WORKSPACE / "put"
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        Path(name).chmod(0o644)
        return Path(name)

    def _move(self, source: Path, path: str) -> None:
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
