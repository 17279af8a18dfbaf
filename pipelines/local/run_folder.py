"""Where a run on this machine keeps what is not a result: one folder a root, held by one run at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError, RunFailed
from fec.storage import normalized_root

# What a run that was killed a moment ago needs to end, with everything it started.
PATIENCE: Final = 5.0
# The steps' unfinished work on a remote root (fec.storage.remote), which the next run goes on from.
UNFINISHED: Final = "fec-*"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. ``lock`` is the descriptor that holds it: to be inherited by what must hold it too."""

    path: Path
    lock: int

    @property
    def temporary(self) -> Path:
        """The temporary folder (TMPDIR) of everything the run starts."""
        return self.path / "tmp"

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    def clear(self) -> None:
        """Remove what an earlier run left here, but for unfinished work."""
        kept = {self.temporary, *self.temporary.glob(UNFINISHED)}
        for path in [*self.path.iterdir(), *self.temporary.glob("*")]:
            if path.is_dir() and not path.is_symlink() and path not in kept:
                shutil.rmtree(path, ignore_errors=True)
            elif path not in kept:
                path.unlink(missing_ok=True)
        self.temporary.mkdir(exist_ok=True)


@contextmanager
def run_folder(root: str) -> Iterator[RunFolder]:
    """The run folder of ``root``, emptied; gone after a body that ends well, kept for its log after one that fails.

    Raises RunFailed while another run works on the same root.
    """
    name = normalized_root(root)
    folder = Path(tempfile.gettempdir(), f"fec-run-{os.geteuid()}-{hashlib.sha256(name.encode()).hexdigest()[:12]}")
    lock_file = folder.with_suffix(".lock")
    lock = _locked(lock_file, root)
    try:
        _make_private(folder)
        held = RunFolder(folder, lock)
        held.clear()
        yield held
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock_file.unlink(missing_ok=True)
        os.close(lock)


def _locked(path: Path, root: str) -> int:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: {error.strerror}; remove it, or set TMPDIR to a folder of yours"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise RunFailed(f"another run works on {root}; wait for it, or stop it") from None
            time.sleep(0.05)
        os.close(lock)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to a folder of yours")
