"""What the object stores share: keys below the root, and unfinished work on the machine's own disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Final, TypeVar

from fec.errors import ConfigurationError
from fec.storage.protocol import checked
from fec.storage.roots import bucket_and_prefix

# Bytes compared, or sent, at a time.
PIECE: Final = 8 << 20

# How often what came spoiled is read.
READS: Final = 3

T = TypeVar("T")


def read_again(read: Callable[[], T], spoiled: tuple[type[Exception], ...]) -> T:
    """What ``read`` gives; it is called again when what came was ``spoiled`` on its way, and its last error raised."""
    for _ in range(READS - 1):
        with suppress(*spoiled):
            return read()
    return read()


class RemoteWork:
    """The part of a storage that is the same for every object store; ``root`` as ``normalized_root`` writes it."""

    local: Final = False

    def __init__(self, root: str) -> None:
        self.root = root
        self.bucket, self._prefix = bucket_and_prefix(self.root)

    def _key(self, path: str) -> str:
        return self._prefix + checked(path)

    def sync(self) -> None:
        """Nothing to do: an object store answers once it has an object for good."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """As ``Storage`` says."""
        raise NotImplementedError

    def same(self, path: str, source: Path) -> bool:
        """As ``Storage`` says; a piece at a time."""
        with open(source, "rb") as file:
            offset = 0
            while piece := file.read(PIECE):
                if self.read_range(path, offset, len(piece)) != piece:
                    return False
                offset += len(piece)
        return not self.read_range(path, offset, 1)

    def workspace(self, path: str) -> Path:
        base = self._workspaces()
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigurationError(f"{base} belongs to somebody else; remove it, or set TMPDIR to a folder of yours")
        folder = base / checked(path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def workspaces(self, directory: str) -> Sequence[Path]:
        return sorted((self._workspaces() / checked(directory)).glob("*"))

    def remove_workspace(self, path: str) -> None:
        base = self._workspaces()
        folder = base / checked(path)
        shutil.rmtree(folder, ignore_errors=True)
        for parent in folder.parents:
            try:
                parent.rmdir()
            except OSError:
                break
            if parent == base:
                break

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with tempfile.NamedTemporaryFile(suffix=PurePosixPath(path).suffix) as file:
            self._download(path, file)
            file.flush()
            yield Path(file.name)

    def _download(self, path: str, target: IO[bytes]) -> None:
        raise NotImplementedError

    def _workspaces(self) -> Path:
        return Path(tempfile.gettempdir(), f"fec-{os.geteuid()}-{hashlib.sha256(self.root.encode()).hexdigest()[:16]}")
