"""What the object stores share: taking a root apart, and unfinished work on the machine's own disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fec.errors import ConfigurationError
from fec.storage.protocol import checked


def bucket_and_prefix(root: str) -> tuple[str, str]:
    """``scheme://BUCKET/PREFIX`` as the bucket and what a key below the root starts with (empty or with ``/``)."""
    bucket, _, prefix = root.partition("://")[2].partition("/")
    if not bucket:
        raise ConfigurationError(f"{root!r}: no bucket; expected {root.partition('://')[0]}://BUCKET/PREFIX")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


class RemoteWork:
    """The part of a storage that is the same for every object store."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.bucket, self._prefix = bucket_and_prefix(self.root)

    def _key(self, path: str) -> str:
        return self._prefix + checked(path)

    def sync(self) -> None:
        """Nothing to do: an object store answers once it has an object for good."""

    def workspace(self, path: str) -> Path:
        base = self._workspaces()
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigurationError(f"{base} belongs to somebody else; remove it, or set TMPDIR to a folder of yours")
        folder = base / checked(path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

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
        with tempfile.NamedTemporaryFile() as file:
            self._download(path, file)
            file.flush()
            yield Path(file.name)

    def _download(self, path: str, target: IO[bytes]) -> None:
        raise NotImplementedError

    def _workspaces(self) -> Path:
        return Path(tempfile.gettempdir(), f"fec-{os.geteuid()}-{hashlib.sha256(self.root.encode()).hexdigest()[:16]}")
