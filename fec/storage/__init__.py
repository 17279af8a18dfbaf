"""The storage root: the only thing the steps agree on, wherever it is.

``open_storage`` gives a local folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix`` behind one small
protocol. Paths are relative to the root, with ``/``, never absolute, never with ``..``.
"""

from __future__ import annotations

from fec.errors import ConfigurationError
from fec.storage.local import WORKSPACE, LocalStorage
from fec.storage.protocol import Entry, Storage, checked

__all__ = ["WORKSPACE", "Entry", "LocalStorage", "Storage", "checked", "open_storage"]


def open_storage(root: str, *, read_only: bool = False) -> Storage:
    """The storage behind ``root``; raises ConfigurationError where it cannot be used, RunFailed without a network.

    With ``read_only`` a folder is neither made nor tidied, and need not be writable; it must be there.
    """
    scheme, separator, _ = root.partition("://")
    if not root.strip():
        raise ConfigurationError("root is empty; give a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    if not separator:
        return LocalStorage(root, read_only=read_only)
    if scheme == "gs":
        from fec.storage.gcs import GoogleStorage

        return GoogleStorage(root)
    if scheme == "s3":
        from fec.storage.s3 import S3Storage

        return S3Storage(root)
    raise ConfigurationError(
        f"root {root!r}: {scheme}:// is not supported; use a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"
    )
