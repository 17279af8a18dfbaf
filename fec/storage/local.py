"""A folder as the storage root: temporary file, fsync, rename."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from fec.errors import ConfigurationError, RunFailed
from fec.storage.protocol import Entry, checked
from fec.storage.roots import normalized_root

# Hidden, on the file system of the root: where a local run keeps what is not finished.
WORKSPACE: Final = ".work"
# What is being put lies directly in it, under names with this start.
_PUT: Final = "put-"
# As the names of crops are, in short.
_ODD_NAME: Final = "a@0.1#http:--b?c=d.jpg"
# What a user can mend: a full disk, a limit, a root that became read-only.
_REFUSED: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class LocalStorage:
    """A folder. Files appear by rename; what a killed process left half-written goes when the root is next opened."""

    local: Final = True

    def __init__(self, root: str, *, read_only: bool = False) -> None:
        self.root = normalized_root(root)
        self._base = Path(self.root)
        if read_only:
            if not self._base.is_dir():
                raise ConfigurationError(f"root {root!r}: there is no such folder")
            return
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._base):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"root {root!r} cannot be written ({error.strerror}); choose a folder you may write to"
            ) from None
        self._try_names_and_links()
        self._remove_leftovers()

    def _path(self, path: str) -> Path:
        return self._base / checked(path)

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with open(self._path(path), "rb", buffering=0) as file:
            file.seek(offset)
            data = bytearray()
            while len(data) < length and (chunk := file.read(length - len(data))):
                data += chunk
            return bytes(data)

    def size(self, path: str) -> int | None:
        file = self._path(path)
        try:
            return file.stat().st_size if file.is_file() else None
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        with self._putting(path) as (file, temporary):
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            self._move(temporary, path, durable=durable)

    def write_file(self, path: str, source: Path) -> None:
        with open(source, "rb") as file:
            os.fsync(file.fileno())
        try:
            self._move(source, path, durable=True)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return
        # Another file system: copied first, so that the rename stays one step.
        with self._putting(path) as (target, temporary):
            with open(source, "rb") as file:
                shutil.copyfileobj(file, target)
            target.flush()
            os.fsync(target.fileno())
            self._move(temporary, path, durable=True)
        source.unlink()

    def write_if_absent(self, path: str, data: bytes) -> bool:
        with self._putting(path) as (file, temporary):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            target = self._path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            _sync_folder(target.parent)
            return True

    def write_file_if_absent(self, path: str, source: Path) -> bool:
        target = self._path(path)
        with self._explained(path):
            with open(source, "rb") as file:
                os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except FileExistsError:
                return False
            _sync_folder(target.parent)
            return True

    def same(self, path: str, source: Path) -> bool:
        file = self._path(path)
        return file.samefile(source) or filecmp.cmp(file, source, shallow=False)

    def sync(self) -> None:
        syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
        if syncfs is None:
            os.sync()
            return
        folder = os.open(self._base, os.O_RDONLY)
        try:
            if syncfs(folder) != 0:
                raise RunFailed(f"root {self.root}: the disk did not take what was written; check it and run again")
        finally:
            os.close(folder)

    def list(self, directory: str) -> Iterator[Entry]:
        base = self._path(directory)
        found = []
        for folder, folders, files in os.walk(base):
            folders[:] = [name for name in folders if name != WORKSPACE]
            for name in files:
                full = Path(folder, name)
                with suppress(FileNotFoundError):  # deleted since
                    found.append(Entry(full.relative_to(self._base).as_posix(), full.stat().st_size))
        return iter(sorted(found, key=lambda entry: entry.path))

    def delete(self, path: str) -> None:
        self._path(path).unlink(missing_ok=True)

    def workspace(self, path: str) -> Path:
        folder = self._base / WORKSPACE / checked(path)
        self._still_there()
        for _ in range(100):
            # Another process may remove an empty parent at any moment.
            with suppress(FileNotFoundError, FileExistsError):
                folder.mkdir(parents=True, exist_ok=True)
                return folder
        raise RunFailed(f"{folder} could not be made; remove what is in its way and run again")

    def workspaces(self, directory: str) -> Sequence[Path]:
        return sorted((self._base / WORKSPACE / checked(directory)).glob("*"))

    def remove_workspace(self, path: str) -> None:
        folder = self._base / WORKSPACE / checked(path)
        shutil.rmtree(folder, ignore_errors=True)
        for parent in folder.parents:
            if parent == self._base or not _removed(parent):
                break

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        file = self._path(path)
        if not file.is_file():
            raise FileNotFoundError(path)
        yield file

    @contextmanager
    def _putting(self, path: str) -> Iterator[tuple[BinaryIO, Path]]:
        """A temporary file, locked while it is being put, gone afterwards wherever it was not moved away."""
        checked(path)
        try:
            with self._explained(path):
                handle, temporary = self._temporary()
                with open(handle, "wb") as file:
                    try:
                        yield file, temporary
                    finally:
                        temporary.unlink(missing_ok=True)
        finally:
            _removed(self._base / WORKSPACE)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """What a user can mend, in one line."""
        try:
            yield
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            raise RunFailed(
                f"{path} could not be written below {self.root}: {error.strerror}; mend that and run again"
            ) from None

    def _temporary(self) -> tuple[int, Path]:
        folder = self._base / WORKSPACE
        while True:
            try:
                handle, name = tempfile.mkstemp(prefix=_PUT, dir=folder)
            except FileNotFoundError:
                self._still_there()
                with suppress(FileExistsError, FileNotFoundError):
                    folder.mkdir()
                continue
            os.fchmod(handle, 0o644)
            with suppress(OSError):  # a file system without locks: leftovers stay
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return handle, Path(name)
            os.close(handle)  # taken for a leftover before it was locked

    def _try_names_and_links(self) -> None:
        """Crops have a colon in their names, and files are put by a link: exFAT, FAT and some shares take neither."""
        with tempfile.TemporaryDirectory(prefix=".try-", dir=self._base) as folder:
            one = Path(folder, _ODD_NAME)
            try:
                one.touch()
                os.link(one, Path(folder, "link"))
            except OSError as error:
                lacks = "hard links" if one.exists() else f"names such as {_ODD_NAME}"
                raise ConfigurationError(
                    f"root {self.root}: its file system takes no {lacks} ({error.strerror}); choose a folder on another"
                ) from None

    def _still_there(self) -> None:
        if not self._base.is_dir():
            raise RunFailed(f"root {self.root} was removed while the step was at work; run again")

    def _remove_leftovers(self) -> None:
        """Remove what killed processes were putting: the temporary files that nobody holds a lock on."""
        folder = self._base / WORKSPACE
        with suppress(FileNotFoundError):
            for leftover in folder.iterdir():
                if leftover.name.startswith(_PUT):
                    with suppress(OSError), open(leftover, "rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        leftover.unlink()
        _removed(folder)

    def _move(self, source: Path, path: str, *, durable: bool) -> None:
        target = self._path(path)
        try:
            source.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        if durable:
            _sync_folder(target.parent)


def _removed(folder: Path) -> bool:
    """Remove ``folder`` if it is empty; whether it was."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
