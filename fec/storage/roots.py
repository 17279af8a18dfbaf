"""A storage root as it is written: which kind it is, and the one spelling that all its spellings stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError

GOOGLE: Final = "gs"
S3: Final = "s3"
_SEPARATOR: Final = "://"
_EXPECTED: Final = "a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"


def is_local(root: str) -> bool:
    """Whether ``root`` is a folder of this machine."""
    return _SEPARATOR not in root


def scheme_of(root: str) -> str:
    """The scheme of a remote root: ``gs`` or ``s3``."""
    return root.partition(_SEPARATOR)[0]


def bucket_and_prefix(root: str) -> tuple[str, str]:
    """``scheme://BUCKET/PREFIX`` as the bucket and what a key below the root starts with (empty or with ``/``)."""
    bucket, _, prefix = root.partition(_SEPARATOR)[2].partition("/")
    if not bucket:
        raise ConfigurationError(f"{root!r}: no bucket; expected {scheme_of(root)}://BUCKET/PREFIX")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def normalized_root(root: str) -> str:
    """The one spelling of ``root``: a folder's absolute path, without ``~``, ``..`` and links, or scheme://BUCKET/PREFIX.

    Raises ConfigurationError for what is no root. Nothing is looked up but the folder's links.
    """
    if not root.strip():
        raise ConfigurationError(f"root is empty; give {_EXPECTED}")
    if is_local(root):
        try:
            folder = Path(root)
            # Path("./~") is Path("~"), but not what was meant.
            return str((folder.expanduser() if root.startswith("~") else folder).resolve())
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle, nobody's ~, a NUL
            raise ConfigurationError(f"root {root!r}: {error}; give {_EXPECTED}") from None
    scheme = scheme_of(root)
    if scheme not in (GOOGLE, S3):
        raise ConfigurationError(f"root {root!r}: {scheme}:// is not supported; use {_EXPECTED}")
    bucket, prefix = bucket_and_prefix(root)
    return f"{scheme}://{bucket}/{prefix}".rstrip("/")
