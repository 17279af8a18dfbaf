"""The images under test, built once a session; skipped, with the reason, where that cannot be."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.image_build.source import Source, generate_image_tag, read_source
from tests.images import engine

# These build images, for minutes; only make test-images asks for them.
collect_ignore = (
    [] if os.environ.get("FEC_TEST_IMAGES") else ["test_images.py", "test_docker_runner.py", "test_push.py"]
)

ROOT = Path(__file__).parents[2]
REGISTRY = "localhost/fec-test"

# The tests build for the CPU alone: no machine of theirs has a GPU.
BUILD_ARGS = {"train": ["--build-arg", "TENSORFLOW=tensorflow-cpu"]}


@dataclass(frozen=True)
class Image:
    """A built image, its bill of materials, and what it should be called and made from."""

    name: str
    reference: str
    sbom: Path
    expected: str
    source: Source

    def run(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run ``command`` in it as a cluster would: as nobody in particular, on a file system that is read-only."""
        strict = ["--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
        return subprocess.run(
            ["docker", "run", *strict, *options, self.reference, *command], capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="session")
def docker() -> Iterator[str]:
    """A running engine; the image to build on."""
    try:
        with engine.running():
            print(f"\nengine: {engine.described()}")
            yield engine.base_image()
    except engine.Unavailable as reason:
        pytest.skip(f"no image can be built here: {reason}")


@pytest.fixture(scope="session")
def built(docker: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """Builds an image by its name, once, with the command a user has."""
    images: dict[str, Image] = {}

    def build(name: str) -> Image:
        if name not in os.environ["FEC_TEST_IMAGES"].split(","):
            pytest.skip(f"image {name} was not asked for: make test-images TEST_IMAGES={name}")
        if name not in images:
            expected, source = generate_image_tag(REGISTRY, name, ROOT), read_source(ROOT)
            sbom = tmp_path_factory.mktemp("sbom") / f"{name}.cdx.json"
            command = [sys.executable, "-m", "pipelines.cli", "images", "build", "--registry", REGISTRY]
            command += ["--only", name, "--base-image", docker, "--network", "host", "--sbom", str(sbom)]
            command += ["--build-dir", str(ROOT), *engine.pip_settings(), *BUILD_ARGS.get(name, [])]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
            images[name] = Image(name, done.stdout.strip(), sbom, expected, source)
            _forget_earlier(images[name])
        return images[name]

    return build


def _forget_earlier(image: Image) -> None:
    """Remove what earlier sessions built under other tags; the layers they share with this one stay."""
    repository = image.reference.rpartition(":")[0]
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for reference in listed:
        if reference != image.reference:
            subprocess.run(["docker", "image", "rm", reference], check=True, capture_output=True)
