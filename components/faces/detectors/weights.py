"""A detector's weights where its library can read them: a folder of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fec.errors import ConfigurationError
from fec.storage import is_local, open_storage


@contextmanager
def local_weights(place: str) -> Iterator[str]:
    """The folder ``place``, or a copy of what lies right below the ``gs://`` or ``s3://`` prefix ``place``.

    The copy is made once and goes with the context. Raises ConfigurationError for a prefix with nothing below it.
    """
    if not place or is_local(place):
        yield place
        return
    bucket, _, directory = place.rstrip("/").rpartition("/")
    if bucket.endswith("/"):
        raise ConfigurationError(f"--detector-weights {place}: name a prefix in the bucket, such as {place}/weights")
    storage = open_storage(bucket, read_only=True)
    with tempfile.TemporaryDirectory(prefix="fec-weights-") as folder:
        paths = [entry.path for entry in storage.list(directory) if entry.path.count("/") == 1]
        if not paths:
            raise ConfigurationError(f"--detector-weights {place}: there is nothing below this prefix")
        for path in paths:
            (Path(folder) / Path(path).name).write_bytes(storage.read(path))
        yield folder
