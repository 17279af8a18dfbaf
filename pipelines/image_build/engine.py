"""Builds and pushes images with a local engine: ``docker``, or what answers to its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from fec.errors import ConfigurationError, RunFailed
from pipelines.image_build.recipe import SBOM, Recipe


def build(recipe: Recipe, network: str = "") -> None:
    """Build the image ``recipe`` describes on this machine; the engine's own words go to standard error.

    Raises ConfigurationError if there is no engine, RunFailed if the build fails.
    """
    _need_engine()
    command = ["build", "--file", str(recipe.build_dir / recipe.dockerfile), "--tag", recipe.reference]
    if network:
        command += ["--network", network]
    for name, value in recipe.arguments().items():
        command += ["--build-arg", f"{name}={value}"]
    for cached in recipe.cache_from:
        command += ["--cache-from", cached]
    if recipe.cache_from:
        # What was pushed can be built upon only if it says which layer came from which line.
        command += ["--build-arg", "BUILDKIT_INLINE_CACHE=1"]
    _docker([*command, str(recipe.build_dir)], f"image {recipe.name}: the build failed")


def push(reference: str) -> str:
    """Push an image that was built here to the registry its reference names; its digest there, "" if there is none."""
    _docker(["push", reference], f"image {reference}: the push failed")
    repository = reference.rpartition(":")[0]
    known = json.loads(_output(["image", "inspect", "--format", "{{json .RepoDigests}}", reference])) or []
    return next((name.partition("@")[2] for name in known if name.startswith(f"{repository}@")), "")


def write_sbom(reference: str, target: Path) -> None:
    """Write the bill of materials that lies in a built image to ``target``."""
    container = _output(["create", reference])
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "sbom.tar")
            with open(archive, "wb") as file:
                _docker(["cp", f"{container}:{SBOM}", "-"], f"image {reference}: no {SBOM} in it", stdout=file.fileno())
            with tarfile.open(archive) as tar:
                member = tar.extractfile(Path(SBOM).name)
                target.write_bytes(member.read() if member else b"")
    finally:
        _output(["rm", container])


def _need_engine() -> None:
    try:
        found = subprocess.run(["docker", "version"], capture_output=True, text=True)  # noqa: S607
    except FileNotFoundError:
        raise ConfigurationError("docker was not found; install it, or build with --engine cloudbuild") from None
    if found.returncode:
        last = (found.stderr.strip().splitlines() or ["docker version failed"])[-1]
        raise ConfigurationError(f"{last} Start the engine (dockerd), or build with --engine cloudbuild")


def _docker(arguments: list[str], failure: str, stdout: int | None = None) -> None:
    code = subprocess.run(  # noqa: S603 - docker itself, with our arguments
        ["docker", *arguments],  # noqa: S607
        stdout=sys.stderr.fileno() if stdout is None else stdout,
        env={**os.environ, "DOCKER_CLI_HINTS": "false"},
    ).returncode
    if code:
        raise RunFailed(f"{failure} (docker ended with exit code {code}; its own words are above)")


def _output(arguments: list[str]) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise RunFailed(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
