"""The file of a backbone's weights, or the folder of its preset, wherever it lies."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError
from fec.storage import open_storage

_KINDS: Final = (".weights.h5", ".h5", ".keras")
_CONFIG: Final = "config.json"
# Of a preset: what changes with the day it was saved on, and shapes nothing.
_ABOUT: Final = ("metadata.json", "README.md")


@dataclass(frozen=True)
class Weights:
    """A local file of weights, or the folder of a preset, and its SHA-256 in hex."""

    path: Path
    sha256: str


@contextmanager
def fetched(source: str) -> Iterator[Weights | None]:
    """The file at ``source``, a path, gs:// or s3://, while the context lasts; None for no source.

    Raises ConfigurationError for one that is not there or of another kind than Keras reads.
    """
    if not source:
        yield None
        return
    if not source.endswith(_KINDS):
        raise ConfigurationError(f"--backbone-weights {source}: expected a file that ends in {', '.join(_KINDS)}")
    folder, _, name = source.rpartition("/")
    where = open_storage(folder or ("/" if source.startswith("/") else "."), read_only=True)
    with ExitStack() as stack:
        try:
            copy = stack.enter_context(where.local_copy(name))
        except FileNotFoundError:
            raise ConfigurationError(f"--backbone-weights {source}: there is no such file") from None
        # Keras tells the kind by the whole ending, which a copy of a remote file has not got.
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / name
        path.symlink_to(copy)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        yield Weights(path, sha256)


@contextmanager
def fetched_preset(source: str) -> Iterator[Weights]:
    """The folder of a preset of keras-hub at ``source``, a path, gs:// or s3://, while the context lasts.

    Raises ConfigurationError where there is none.
    """
    parent, _, name = source.rstrip("/").rpartition("/")
    where = open_storage(parent or "/", read_only=True)
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary, "preset")
        for entry in where.list(name):
            copy = stack.enter_context(where.local_copy(entry.path))
            path = folder / entry.path.removeprefix(f"{name}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(copy)
            if path.name not in _ABOUT:
                with path.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.relative_to(folder)} {sha256}\n".encode())
        if not (folder / _CONFIG).exists():
            raise ConfigurationError(f"--backbone {source}: there is no preset of keras-hub (no {_CONFIG})")
        yield Weights(folder, digest.hexdigest())
