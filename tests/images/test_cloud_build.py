"""Cloud Build through Google's own clients, against a server on loopback that speaks its protocol."""

import io
import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fec.errors import ConfigurationError, RunFailed
from pipelines.image_build import cloud as cloud_build
from pipelines.image_build.cloud import Cloud, gcb_build_and_push
from tests.images.cloud_build_server import DIGEST, CloudBuildServer

ROOT = Path(__file__).parents[2]
PROJECT = "fec-project"
BUCKET = "fec-project_cloudbuild"
TAG = "ghcr.io/me/fec-data:1"
ARGUMENTS = {"BASE_IMAGE": "python:3.11-slim", "VERSION": "1"}


@pytest.fixture(scope="module")
def storage() -> Iterator[Any]:
    from gcp_storage_emulator.server import create_server
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield storage.Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
    )
    server.stop()


@pytest.fixture
def server(storage: Any) -> Iterator[CloudBuildServer]:
    running = CloudBuildServer(storage, PROJECT)
    yield running
    running.stop()


@pytest.fixture
def cloud(server: CloudBuildServer, storage: Any) -> Cloud:
    return Cloud(PROJECT, BUCKET, "global", builds=server.client(), storage=storage, poll_seconds=0.05)


def build(cloud: Cloud, tag: str = TAG, **options: Any) -> tuple[cloud_build.Built, str]:
    log = io.StringIO()
    built = gcb_build_and_push(tag, ROOT, cloud=cloud, arguments=ARGUMENTS, log=log, **options)
    return built, log.getvalue()


def test_a_build_ends_with_the_digest_of_what_was_pushed(cloud: Cloud) -> None:
    built, _ = build(cloud)
    assert built.digest == DIGEST


def test_the_log_is_written_once_and_whole(cloud: Cloud) -> None:
    built, log = build(cloud)
    assert log.splitlines()[1:] == ["starting build", 'Step "build": Step 1/1 : FROM scratch', "DONE"]
    assert built.build_id in log.splitlines()[0]


def test_the_build_runs_docker_on_the_dockerfile_of_the_image(cloud: Cloud, server: CloudBuildServer) -> None:
    build(cloud, cache_from=["ghcr.io/me/fec-data:0", "ghcr.io/me/fec-data:latest"])
    call = server.calls[0]
    assert call[:5] == ["build", "--file", "images/data/Dockerfile", "--tag", TAG]
    pairs = list(itertools.pairwise(call))
    assert ("--build-arg", "BASE_IMAGE=python:3.11-slim") in pairs
    assert [value for name, value in pairs if name == "--cache-from"] == [
        "ghcr.io/me/fec-data:0",
        "ghcr.io/me/fec-data:latest",
    ]
    assert call[-1] == "."


def test_a_build_argument_is_no_pattern_for_the_shell(cloud: Cloud, server: CloudBuildServer) -> None:
    gcb_build_and_push(
        TAG, ROOT, cloud=cloud, arguments={"TENSORFLOW": "tensorflow[and-cuda]", "X": "*;$(id)"}, log=io.StringIO()
    )
    assert "TENSORFLOW=tensorflow[and-cuda]" in server.calls[0]
    assert "X=*;$(id)" in server.calls[0]


def test_the_bill_of_materials_comes_back(cloud: Cloud, tmp_path: Path) -> None:
    built, _ = build(cloud)
    cloud_build.write_sbom(built, cloud, tmp_path / "sbom.json")
    assert json.loads((tmp_path / "sbom.json").read_text()) == {"bomFormat": "CycloneDX"}


def test_the_same_source_is_uploaded_once(cloud: Cloud, storage: Any) -> None:
    build(cloud)
    before = [(blob.name, blob.updated) for blob in storage.list_blobs(BUCKET, prefix="source/")]
    build(cloud)
    assert [(blob.name, blob.updated) for blob in storage.list_blobs(BUCKET, prefix="source/")] == before


def test_a_failed_build_fails_with_its_own_error(cloud: Cloud, server: CloudBuildServer) -> None:
    server.docker_exit = 3
    with pytest.raises(
        RunFailed, match='FAILURE in step build: build step "build" failed: exited with status 3'
    ) as found:
        build(cloud)
    assert "Step 1/1 : FROM scratch" in str(found.value)


def test_a_project_one_may_not_build_in_is_one_clear_line(server: CloudBuildServer, cloud: Cloud) -> None:
    other = Cloud("other", BUCKET, "global", builds=cloud.builds, storage=cloud.storage)
    with pytest.raises(ConfigurationError, match="'other' refused: no permission"):
        build(other)


def test_a_missing_bucket_says_how_to_make_it(cloud: Cloud) -> None:
    other = Cloud(PROJECT, "nowhere", "global", builds=cloud.builds, storage=cloud.storage)
    with pytest.raises(ConfigurationError, match="gcloud storage buckets create gs://nowhere --project fec-project"):
        build(other)


def test_an_argument_with_a_space_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigurationError, match="leave out spaces"):
        gcb_build_and_push(TAG, ROOT, cloud=cloud, arguments={"A": "b c"}, log=io.StringIO())


def test_an_image_that_is_none_of_ours_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigurationError, match="expected REGISTRY/fec-NAME:TAG"):
        build(cloud, tag="ghcr.io/me/other:1")


class _Interrupted(io.StringIO):
    """A log whose reader presses Ctrl-C."""

    def write(self, text: str) -> int:
        if "starting build" in text:
            raise KeyboardInterrupt
        return super().write(text)


def test_an_interrupted_call_cancels_the_build(cloud: Cloud, server: CloudBuildServer) -> None:
    with pytest.raises(KeyboardInterrupt):
        gcb_build_and_push(TAG, ROOT, cloud=cloud, arguments=ARGUMENTS, log=_Interrupted())
    deadline = time.monotonic() + 5
    while not server.cancelled and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.cancelled == list(server.builds)
