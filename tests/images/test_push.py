"""``fec images build --push`` with a real engine, to a registry on loopback; the image is a small one."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.placement import wrong_image
from pipelines.image_build.pinned import read_pinned
from tests.images import registry
from tests.images.registry import Registry

DOCKERFILE = 'FROM scratch\nARG REVISION\nCOPY pyproject.toml /\nLABEL revision="${REVISION}"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one image, of one file."""
    (tmp_path / "images" / "data").mkdir(parents=True)
    (tmp_path / "images" / "data" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "fec"\nversion = "1.0"\n')
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


@pytest.fixture
def target() -> Iterator[Registry]:
    with registry.serving() as running:
        yield running


def build(checkout: Path, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "images", "build", "--only", "data", "--push"]
    command += ["--build-dir", str(checkout), "--registry", target, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.usefixtures("docker")
def test_what_was_built_is_in_the_registry_whole(
    checkout: Path, target: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Not in the checkout: what is not committed would be part of the next tag.
    pinned_images = str(tmp_path_factory.mktemp("pinned") / "images.json")
    pushed = build(checkout, f"{target.address}/fec", "--images", pinned_images)
    assert pushed.returncode == 0, pushed.stderr
    reference = pushed.stdout.strip()
    manifest = target.manifests[reference.removeprefix(f"{target.address}/")]
    assert {blob["digest"] for blob in (manifest["config"], *manifest["layers"])} == target.blobs
    pinned = pushed.stderr.splitlines()[-1]
    assert pinned.startswith(f"{reference}@sha256:")
    assert wrong_image(pinned) == ""
    assert read_pinned(pinned_images) == {"data": pinned}
    again = build(checkout, f"{target.address}/fec", "--cache-from", reference)
    assert again.stdout == pushed.stdout
    assert len(target.manifests) == 1


@pytest.mark.usefixtures("docker")
def test_a_registry_that_is_not_there_is_one_line_and_exit_code_1(checkout: Path) -> None:
    failed = build(checkout, "127.0.0.1:9/fec")
    assert failed.returncode == 1
    assert "the push failed" in failed.stderr.splitlines()[-1]
