"""Where annotations come from: a local CSV or zip, or an http(s), gs or s3 URL of either."""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit

from fec import layout
from fec.errors import ConfigurationError, RunFailed

# The published zip has about 200 MB.
MAX_BYTES: Final = 2 * 1024**3
MAX_SECONDS: Final = 1_800.0
_SOCKET_SECONDS: Final = 30.0
_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 1.0
# Answers that mean that another URL was meant.
_NOT_THERE: Final = (400, 401, 403, 404, 410)
_CHUNK: Final = 1024 * 1024
# What a tar has at that place.
_TAR: Final = b"ustar"
_TAR_MARK: Final = 257
# What the published zip calls the splits.
_MEMBER_WORD: Final = {layout.TRAIN: "train", layout.EVAL: "test"}


def is_remote(source: str) -> bool:
    """Whether ``source`` is a URL rather than a local path."""
    return "://" in source


def identity(source: str) -> str:
    """What tells one source from another: a local file's SHA-256, or the URL itself, which is not fetched for it.

    Raises ConfigurationError if a local file cannot be read.
    """
    if is_remote(source):
        return source
    with _local(source) as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def shown(source: str) -> str:
    """``source`` fit to be written down: a path's name, a URL without user, password and query."""
    if not is_remote(source):
        return Path(source).name
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def opened(source: str, split: str) -> Iterator[BinaryIO]:
    """The CSV of ``split``, open for reading; of a zip the member whose name has the split's word (train, test).

    Raises ConfigurationError for what cannot be read, RunFailed where the network failed.
    """
    if not is_remote(source):
        with _local(source) as file, _csv(file, source, split) as member:
            yield member
        return
    with tempfile.TemporaryFile() as fetched:
        _fetch(source, fetched)
        fetched.seek(0)
        with _csv(fetched, shown(source), split) as member:
            yield member


def check_there(source: str) -> None:
    """Raises ConfigurationError if there is nothing at ``source`` to be read; what the network hides is not said."""
    if not is_remote(source):
        _local(source).close()
        return
    if source.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(source, timeout=_SOCKET_SECONDS).close()  # noqa: S310 - http(s) only
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _NOT_THERE:
                raise ConfigurationError(f"annotations {shown(source)}: {_answered(error)}; check the URL") from None
        except (OSError, ValueError, http.client.HTTPException):
            return  # whoever reads it will say so, or get it
        return
    try:
        _module(source).check_there(source)
    except FileNotFoundError:
        raise ConfigurationError(f"annotations {shown(source)}: no such object") from None
    except RunFailed:
        return


def _answered(error: urllib.error.HTTPError) -> str:
    return f"the server answered {error.code} {error.reason}"


def _local(source: str) -> BufferedReader:
    try:
        return open(Path(source).expanduser(), "rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"annotations {source}: {reason}; give the path or URL of the FEC CSV or of FEC_dataset.zip"
        ) from None


@contextmanager
def _csv(file: BinaryIO, source: str, split: str) -> Iterator[BinaryIO]:
    start = file.read(_TAR_MARK + len(_TAR))
    file.seek(0)
    if start[_TAR_MARK:] == _TAR:
        raise ConfigurationError(f"annotations {source}: a tar; unpack it and give the CSV, or a zip of it")
    if not start.startswith(b"PK"):
        yield file
        return
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_member(archive, source, split)) as member:
            yield member  # type: ignore[misc]  # IO[bytes] serves as BinaryIO
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ConfigurationError(f"annotations {source}: a zip that cannot be read ({error}); fetch it again") from None


def _member(archive: zipfile.ZipFile, source: str, split: str) -> zipfile.ZipInfo:
    word = _MEMBER_WORD[split]
    tables = [
        info
        for info in archive.infolist()
        if info.filename.lower().endswith(".csv") and "__MACOSX" not in info.filename
    ]
    wanted = [info for info in tables if word in PurePosixPath(info.filename).name.lower()]
    if len(wanted) != 1:
        names = ", ".join(info.filename for info in tables[:5]) or "none"
        raise ConfigurationError(
            f"annotations {source}: expected one CSV with {word!r} in its name for split {split!r}, "
            f"found {len(wanted)} (CSVs in the zip: {names})"
        )
    if wanted[0].file_size > MAX_BYTES:
        raise ConfigurationError(f"annotations {source}: {wanted[0].filename} is larger than {MAX_BYTES:,} bytes")
    return wanted[0]


def _fetch(source: str, target: BinaryIO) -> None:
    scheme = source.partition("://")[0].lower()
    if scheme in ("http", "https"):
        _fetch_http(source, target)
        return
    try:
        _module(source).fetch(source, target, MAX_BYTES)
    except FileNotFoundError:
        raise ConfigurationError(f"annotations {shown(source)}: no such object") from None


def _module(source: str) -> Any:
    """What reads objects of the source's store."""
    scheme = source.partition("://")[0].lower()
    if scheme == "gs":
        from fec.storage import gcs

        return gcs
    if scheme == "s3":
        from fec.storage import s3

        return s3
    raise ConfigurationError(
        f"annotations {shown(source)}: {scheme}:// is not supported; use a path, http(s)://, gs:// or s3://"
    )


def _fetch_http(source: str, target: BinaryIO) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        target.seek(0)
        target.truncate()
        try:
            _copy_http(source, target, deadline)
            return
        except urllib.error.HTTPError as error:
            error.close()
            reason = _answered(error)
            if error.code < 500 and error.code not in (408, 429):
                raise ConfigurationError(f"annotations {shown(source)}: {reason}; check the URL") from None
        except (OSError, EOFError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        except ValueError as error:
            raise ConfigurationError(f"annotations {shown(source)}: {error}") from None
        if attempt < _ATTEMPTS and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS * attempt)
    raise RunFailed(f"annotations {shown(source)}: could not be fetched ({reason}); try again later")


def _copy_http(source: str, target: BinaryIO, deadline: float) -> None:
    with urllib.request.urlopen(source, timeout=_SOCKET_SECONDS) as answer:  # noqa: S310 - http(s) only, see _fetch
        expected = answer.headers.get("Content-Length")
        size = 0
        while chunk := answer.read1(_CHUNK):
            size += len(chunk)
            if size > MAX_BYTES:
                raise ConfigurationError(f"annotations {shown(source)}: larger than {MAX_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished within {MAX_SECONDS:.0f} s")
            target.write(chunk)
    if expected is not None and expected.isdecimal() and size != int(expected):
        raise EOFError(f"{size:,} of {expected} bytes came")
