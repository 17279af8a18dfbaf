"""Real object stores on loopback: Google's emulator and moto's S3."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

BUCKET = "fec-test"


@pytest.fixture(scope="session")
def google_emulator() -> Iterator[str]:
    """The address of a Cloud Storage emulator that has BUCKET."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server that has BUCKET."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


@pytest.fixture
def use_google(google_emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """gs:// means the emulator."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_emulator)


@pytest.fixture
def use_s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3:// means the local server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
