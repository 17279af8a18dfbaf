"""``fec run --runner docker``: the same pipeline, each task in its image."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fec.layout import EVAL, TRAIN
from pipelines.demo.scenario import scenario
from pipelines.demo.site import Site, serve
from pipelines.local import containers
from tests.images.conftest import Image

Built = Callable[[str], Image]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(scenario(portraits=24, train_triplets=60, eval_triplets=24)) as running:
        yield running


@pytest.fixture(scope="module")
def options(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    csvs = site.write_csvs(tmp_path_factory.mktemp("annotations"))
    return [
        *("--train-csv", str(csvs[TRAIN]), "--eval-csv", str(csvs[EVAL]), "--allow-network", "127.0.0.0/8"),
        *("--requests-per-second", "500", "--num-train-shards", "4", "--num-eval-shards", "1", "--train-steps", "4"),
    ]


def fec_run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "run", "--root", str(root), "--json", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def in_containers(built: Built) -> list[str]:
    images = {name: built(name).reference for name in ("data", "train")}
    return ["--runner", "docker", "--data-image", images["data"], "--train-image", images["train"]]


def records(root: Path) -> dict[str, str]:
    files = sorted((root / "records").glob("fec_base-*"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ours() -> list[str]:
    listed = ["docker", "ps", "--all", "--quiet", "--filter", f"label={containers.LABEL}"]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()


def test_it_gives_the_same_records_as_processes_do(built: Built, options: list[str], tmp_path: Path) -> None:
    inside = fec_run(tmp_path / "docker", *options, *in_containers(built))
    assert inside.returncode == 0, inside.stderr
    outside = fec_run(tmp_path / "subprocess", *options)
    assert outside.returncode == 0, outside.stderr
    assert records(tmp_path / "docker") == records(tmp_path / "subprocess")
    assert records(tmp_path / "docker")
    funnels = [json.loads(done.stdout.splitlines()[-1])["funnel"] for done in (inside, outside)]
    assert funnels[0] == funnels[1]
    assert ours() == []


def test_what_a_step_refuses_is_the_run_s_error(built: Built, options: list[str], tmp_path: Path) -> None:
    failed = fec_run(
        tmp_path / "root", *options, *in_containers(built), "--allow-network", "10.0.0.0/8", "--detector", "faced"
    )
    assert failed.returncode in (1, 2)
    assert "faced" in failed.stderr.splitlines()[-1]
    assert ours() == []


def test_the_files_belong_to_the_caller(built: Built, tmp_path: Path) -> None:
    settings = containers.Containers(built("data").reference, built("data").reference, (), (str(tmp_path),))
    code = _run(settings, tmp_path, ["sh", "-c", f"touch {tmp_path}/written && echo in > {tmp_path}/read"])
    assert code == 0
    assert (tmp_path / "written").stat().st_uid == os.geteuid()


def test_a_container_that_fails_at_once_is_never_a_success(built: Built, tmp_path: Path) -> None:
    settings = containers.Containers(built("data").reference, built("data").reference)
    assert [_run(settings, tmp_path, ["false"]) for _ in range(8)] == [1] * 8


def test_what_a_killed_run_left_is_removed(built: Built, tmp_path: Path) -> None:
    command = ["docker", "run", "--detach", "--network", "host", "--label", f"{containers.LABEL}={tmp_path}"]
    subprocess.run([*command, built("data").reference, "sleep", "600"], check=True, capture_output=True)
    assert ours()
    containers.remove_leftovers(tmp_path)
    assert ours() == []


@pytest.mark.usefixtures("docker")
def test_a_missing_image_is_one_clear_line(options: list[str], tmp_path: Path) -> None:
    failed = fec_run(tmp_path, *options, "--runner", "docker", "--data-image", "localhost/none:1")
    assert failed.returncode == 2
    assert "'localhost/none:1' is not on this machine; build it with fec images build" in failed.stderr


def _run(settings: containers.Containers, folder: Path, command: list[str]) -> int:
    """One task as kfp.local's DockerRunner would have it run."""
    import docker
    from kfp.local import docker_task_handler

    runner: Any = containers.runner(settings, folder)
    client: Any = docker.from_env()
    try:
        arguments = dict(runner.container_run_args)
        return int(
            docker_task_handler.run_docker_container(client, settings.data_image, command, volumes={}, **arguments)
        )
    finally:
        client.close()
