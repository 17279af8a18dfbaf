"""The storage root: the only thing the steps agree on, wherever it is.

``open_storage`` gives a local folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix`` behind one small
protocol. Paths are relative to the root, with ``/``, never absolute, never with ``..``.
"""

from __future__ import annotations

from fec.storage.local import WORKSPACE, LocalStorage
from fec.storage.protocol import Entry, Storage, checked
from fec.storage.roots import GOOGLE, is_local, normalized_root, scheme_of

__all__ = ["WORKSPACE", "Entry", "LocalStorage", "Storage", "checked", "is_local", "normalized_root", "open_storage"]


def open_storage(root: str, *, read_only: bool = False) -> Storage:
    """The storage behind ``root``; raises ConfigurationError where it cannot be used, RunFailed without a network.

    With ``read_only`` a folder is neither made nor tidied, and need not be writable; it must be there.
    """
    root = normalized_root(root)
    if is_local(root):
        return LocalStorage(root, read_only=read_only)
    if scheme_of(root) == GOOGLE:
        from fec.storage.gcs import GoogleStorage

        return GoogleStorage(root)
    from fec.storage.s3 import S3Storage

    return S3Storage(root)
