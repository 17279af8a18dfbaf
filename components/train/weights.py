"""The file of a backbone's weights, wherever it lies."""

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


@dataclass(frozen=True)
class Weights:
    """A local file of weights and its SHA-256 in hex."""

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
