"""S3, or what speaks its language, as the storage root: ``s3://BUCKET/PREFIX``; AWS_ENDPOINT_URL says where."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from fec.errors import ConfigurationError, RunFailed
from fec.storage.protocol import Entry
from fec.storage.remote import RemoteWork, read_again
from fec.storage.roots import bucket_and_prefix

try:
    import boto3
    from botocore import exceptions
    from botocore.config import Config
    from s3transfer.exceptions import RetriesExceededError
except ModuleNotFoundError:
    raise ConfigurationError("s3:// needs the S3 client; install it with: pip install 'fec[s3]'") from None

# Names asked for in one request: as many as the service gives.
PAGE: Final = 1_000
# A body that broke off, or is not what its checksum says; the client does not ask for it again.
_SPOILED: Final = (
    exceptions.FlexibleChecksumError,
    exceptions.IncompleteReadError,
    exceptions.ReadTimeoutError,
    exceptions.ResponseStreamingError,
)
_NOT_FOUND: Final = {"NoSuchKey", "404", "NotFound"}
_NOT_ALLOWED: Final = {
    "AccessDenied",
    "403",
    "Forbidden",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
}


class S3Storage(RemoteWork):
    """A bucket. The client tries transient errors again by itself, eight times an operation."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        with _explained(f"root {root}"):
            self._client = _client()
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)

    def read(self, path: str) -> bytes:
        with self._file(path):
            return read_again(lambda: bytes(self._client.get_object(**self._at(path))["Body"].read()), _SPOILED)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with self._file(path):
            if length <= 0:
                return b""
            place = self._at(path) | {"Range": f"bytes={offset}-{offset + length - 1}"}
            try:
                return read_again(lambda: bytes(self._client.get_object(**place)["Body"].read()), _SPOILED)
            except exceptions.ClientError as error:
                if _code(error) in ("InvalidRange", "416"):
                    return b""
                raise

    def size(self, path: str) -> int | None:
        try:
            with self._file(path):
                return int(self._client.head_object(**self._at(path))["ContentLength"])
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        with self._file(path):
            self._client.put_object(**self._at(path), Body=data)

    def write_file(self, path: str, source: Path) -> None:
        with self._file(path):
            self._client.upload_file(str(source), **self._at(path))
        source.unlink()

    def write_if_absent(self, path: str, data: bytes) -> bool:
        return self._put_if_absent(path, lambda: io.BytesIO(data))

    def write_file_if_absent(self, path: str, source: Path) -> bool:
        return self._put_if_absent(path, lambda: source.open("rb"))

    def _put_if_absent(self, path: str, opened: Callable[[], IO[bytes]]) -> bool:
        with self._file(path):
            while True:
                try:
                    with opened() as body:
                        self._client.put_object(**self._at(path), Body=body, IfNoneMatch="*")
                except exceptions.ClientError as error:
                    if _code(error) in ("PreconditionFailed", "412"):
                        return False
                    if _code(error) not in ("ConditionalRequestConflict", "409"):
                        raise
                else:
                    return True

    def list(self, directory: str) -> Iterator[Entry]:
        with self._file(directory):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(directory) + "/", PaginationConfig={"PageSize": PAGE}
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Entry(found["Key"].removeprefix(self._prefix), int(found["Size"]))

    def delete(self, path: str) -> None:
        with self._file(path):
            self._client.delete_object(**self._at(path))

    def _download(self, path: str, target: IO[bytes]) -> None:
        with self._file(path):
            start = target.tell()

            def download() -> None:
                target.seek(start)
                target.truncate()
                self._client.download_fileobj(**self._at(path), Fileobj=target)

            read_again(download, _SPOILED)

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._key(path)}

    @contextmanager
    def _file(self, path: str) -> Iterator[None]:
        with _explained(f"{self.root}/{path}"):
            yield


def fetch(url: str, target: IO[bytes], max_bytes: int) -> None:
    """Write the object at ``url`` (s3://BUCKET/KEY) into ``target``.

    Raises FileNotFoundError if there is none, ConfigurationError if it is larger than ``max_bytes`` or may not be
    read, RunFailed where the network failed.
    """
    bucket, key = bucket_and_prefix(url)
    place = {"Bucket": bucket, "Key": key.rstrip("/")}
    with _explained(url):
        client = _client()
        size = int(client.head_object(**place)["ContentLength"])
        if size > max_bytes:
            raise ConfigurationError(f"{url}: {size:,} bytes; expected at most {max_bytes:,}")
        client.download_fileobj(**place, Fileobj=target)


def check_there(url: str) -> None:
    """Raises what ``fetch`` would, without fetching."""
    bucket, key = bucket_and_prefix(url)
    with _explained(url):
        _client().head_object(Bucket=bucket, Key=key.rstrip("/"))


def _client() -> Any:
    config = Config(retries={"max_attempts": 8, "mode": "standard"}, max_pool_connections=64)
    try:
        return boto3.client("s3", config=config)
    except ValueError as error:  # such as an endpoint that is no URL
        raise ConfigurationError(f"the S3 client cannot be set up: {error}") from None


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the client's errors into FileNotFoundError and ours."""
    try:
        yield
    except exceptions.ClientError as error:
        code = _code(error)
        if code in _NOT_FOUND:
            raise FileNotFoundError(what) from None
        if code == "NoSuchBucket":
            raise ConfigurationError(f"{what}: there is no such bucket; make it first") from None
        if code in _NOT_ALLOWED:
            raise ConfigurationError(
                f"{what}: not allowed ({code}); check the credentials and the bucket's policy"
            ) from None
        raise RunFailed(f"{what}: storage failed ({error}); try again later") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise ConfigurationError(
            f"{what}: no usable AWS credentials ({error}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give "
            "the pod a role"
        ) from None
    except (exceptions.ParamValidationError, exceptions.InvalidRegionError) as error:
        raise ConfigurationError(f"{what}: {' '.join(str(error).split())}") from None
    except (exceptions.BotoCoreError, boto3.exceptions.Boto3Error, RetriesExceededError) as error:
        raise RunFailed(f"{what}: storage failed ({error}); try again later") from None
