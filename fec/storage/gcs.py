"""Google Cloud Storage as the storage root: ``gs://BUCKET/PREFIX``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import requests  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from fec.errors import ConfigurationError, RunFailed
from fec.storage.protocol import Entry
from fec.storage.remote import PIECE, READS, RemoteWork, read_again
from fec.storage.roots import bucket_and_prefix

# Names asked for in one request: as many as the service gives.
PAGE: Final = 1_000
# Seconds to wait for the first answer: whether the service can be reached at all.
FIRST_ANSWER: Final = 30.0
# What the client says of bytes that are not those it was promised; neither is one of Google's API errors.
_SPOILED: Final = (DataCorruption, InvalidResponse)
_AT_FIRST: Final = DEFAULT_RETRY.with_timeout(FIRST_ANSWER)


class GoogleStorage(RemoteWork):
    """A bucket. The client tries transient errors again by itself, for two minutes an operation."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        with _explained(f"root {root}"):
            self._client = storage.Client(project=None)
            self._bucket = self._client.bucket(self.bucket)
            try:
                list(self._client.list_blobs(self._bucket, prefix=self._prefix, max_results=1, retry=_AT_FIRST))
            except exceptions.NotFound:
                raise ConfigurationError(f"root {root}: there is no bucket {self.bucket!r}; make it first") from None

    def read(self, path: str) -> bytes:
        with self._file(path):
            return read_again(lambda: bytes(self._blob(path).download_as_bytes()), _SPOILED)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with self._file(path):
            if length <= 0:
                return b""
            try:
                end = offset + length - 1
                return read_again(lambda: bytes(self._blob(path).download_as_bytes(start=offset, end=end)), _SPOILED)
            except exceptions.RequestRangeNotSatisfiable:
                return b""

    def size(self, path: str) -> int | None:
        with self._file(path):
            blob = self._bucket.get_blob(self._key(path))
            return None if blob is None else int(blob.size)

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        with self._file(path):
            self._blob(path).upload_from_string(data, content_type="application/octet-stream")

    def write_file(self, path: str, source: Path) -> None:
        with self._file(path):
            blob = self._bucket.blob(self._key(path), chunk_size=PIECE)
            blob.upload_from_filename(str(source), content_type="application/octet-stream")
        source.unlink()

    def write_if_absent(self, path: str, data: bytes) -> bool:
        with self._file(path):
            try:
                self._blob(path).upload_from_string(
                    data, content_type="application/octet-stream", if_generation_match=0
                )
            except exceptions.PreconditionFailed:
                return False
            return True

    def write_file_if_absent(self, path: str, source: Path) -> bool:
        with self._file(path):
            blob = self._bucket.blob(self._key(path), chunk_size=PIECE)
            try:
                blob.upload_from_filename(str(source), content_type="application/octet-stream", if_generation_match=0)
            except exceptions.PreconditionFailed:
                return False
            return True

    def list(self, directory: str) -> Iterator[Entry]:
        with self._file(directory):
            for blob in self._client.list_blobs(self._bucket, prefix=self._key(directory) + "/", page_size=PAGE):
                yield Entry(blob.name.removeprefix(self._prefix), int(blob.size))

    def delete(self, path: str) -> None:
        with self._file(path):
            try:
                self._blob(path).delete()
            except exceptions.NotFound:
                return

    def _download(self, path: str, target: IO[bytes]) -> None:
        with self._file(path):
            start = target.tell()

            def download() -> None:
                target.seek(start)
                target.truncate()
                self._blob(path).download_to_file(target)

            read_again(download, _SPOILED)

    def _blob(self, path: str) -> storage.Blob:
        return self._bucket.blob(self._key(path))

    @contextmanager
    def _file(self, path: str) -> Iterator[None]:
        with _explained(f"{self.root}/{path}"):
            yield


def fetch(url: str, target: IO[bytes], max_bytes: int) -> None:
    """Write the object at ``url`` (gs://BUCKET/NAME) into ``target``; public objects need no credentials.

    Raises FileNotFoundError if there is none, ConfigurationError if it is larger than ``max_bytes`` or may not be
    read, RunFailed where the network failed.
    """
    with _explained(url):
        blob = _found(url)
        if blob.size > max_bytes:
            raise ConfigurationError(f"{url}: {blob.size:,} bytes; expected at most {max_bytes:,}")
        blob.download_to_file(target)


def check_there(url: str) -> None:
    """Raises what ``fetch`` would, without fetching."""
    with _explained(url):
        _found(url)


def _found(url: str) -> storage.Blob:
    bucket, name = bucket_and_prefix(url)
    try:
        client = storage.Client(project=None)
    except auth_exceptions.DefaultCredentialsError:
        client = storage.Client(project=None, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    blob = client.bucket(bucket).get_blob(name.rstrip("/"), retry=_AT_FIRST)
    if blob is None:
        raise FileNotFoundError(url)
    return blob


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the client's errors into FileNotFoundError and ours."""
    try:
        yield
    except exceptions.NotFound:
        raise FileNotFoundError(what) from None
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise ConfigurationError(
            f"{what}: not allowed ({error.message}); give the account roles/storage.objectUser on the bucket"
        ) from None
    except auth_exceptions.TransportError as error:
        raise RunFailed(f"{what}: no answer from Google's token service ({error}); try again later") from None
    except auth_exceptions.GoogleAuthError as error:
        raise ConfigurationError(
            f"{what}: no usable Google credentials ({error}); run `gcloud auth application-default login`, or give "
            "the pod a service account"
        ) from None
    except _SPOILED as error:
        raise RunFailed(f"{what}: came spoiled {READS} times ({_line(error)}); try again later") from None
    except (exceptions.GoogleAPIError, requests.RequestException) as error:
        raise RunFailed(f"{what}: storage failed ({error}); try again later") from None
