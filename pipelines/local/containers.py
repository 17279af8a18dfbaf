"""``fec run --runner docker``: every task of a run on this machine in a container of its image.

kfp.local's own way to run a container asks for it to be removed as soon as it ends, and reports success when it was
gone before its exit code could be read. Here a container is removed by us, after its exit code was read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fec import log
from fec.annotations_source import is_remote
from fec.errors import ConfigurationError, RunFailed
from fec.images import DATA_IMAGE, TRAIN_IMAGE
from fec.storage import is_local, normalized_root

# On each container, with the folder of its run: what a killed run left behind is found by it.
LABEL = "fec.run"

# What the clients of object stores, and the steps, read from the environment.
_PASSED = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "SOURCE_DATE_EPOCH", log.LEVEL, log.EVENTS)
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"

SETTINGS = "containers.json"


@dataclass(frozen=True)
class Containers:
    """The images of a run, and the paths of this machine that its tasks see, each under its own name."""

    data_image: str = DATA_IMAGE
    train_image: str = TRAIN_IMAGE
    read: tuple[str, ...] = field(default=())
    written: tuple[str, ...] = field(default=())

    def check(self) -> None:
        """Raise ConfigurationError if there is no engine or it lacks an image."""
        with _client() as client:
            from docker.errors import ImageNotFound

            for image in (self.data_image, self.train_image):
                try:
                    client.images.get(image)
                except ImageNotFound:
                    raise ConfigurationError(
                        f"image {image!r} is not on this machine; build it with fec images build, or docker pull it"
                    ) from None

    def save(self, folder: Path) -> None:
        """Leave the settings for the process that runs the pipeline."""
        (folder / SETTINGS).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Containers | None:
        """The settings left in ``folder``; None if tasks are to run as processes."""
        path = folder / SETTINGS
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        return cls(found["data_image"], found["train_image"], tuple(found["read"]), tuple(found["written"]))


def on_this_machine(
    arguments: Mapping[str, Any], data_image: str, train_image: str
) -> tuple[dict[str, Any], Containers]:
    """The pipeline's arguments with absolute paths, and the containers that see these paths."""
    absolute = dict(arguments)
    named = [name for name in ("train_csv", "eval_csv", "detector_weights") if absolute[name]]
    for name in named:
        if not is_remote(absolute[name]):
            absolute[name] = str(Path(absolute[name]).expanduser().resolve())
    absolute["root"] = normalized_root(absolute["root"])
    local = [absolute[name] for name in named if not is_remote(absolute[name])]
    if credentials := os.environ.get(_CREDENTIALS):
        local.append(str(Path(credentials).absolute()))
    written = [absolute["root"]] if is_local(absolute["root"]) else []
    outside = [path for path in local if not any(Path(path).is_relative_to(root) for root in written)]
    return absolute, Containers(data_image, train_image, tuple(dict.fromkeys(outside)), tuple(written))


def runner(containers: Containers, folder: Path) -> Any:
    """kfp.local's DockerRunner for a run in ``folder``: as the caller, on the host's network, on a read-only system."""
    from docker.types import Mount
    from kfp import local
    from kfp.local import docker_task_handler

    docker_task_handler.run_docker_container = _run_container
    for path in containers.written:
        Path(path).mkdir(parents=True, exist_ok=True)
    mounts = [Mount(path, path, type="bind", read_only=True) for path in containers.read]
    events = [os.environ[log.EVENTS]] if log.EVENTS in os.environ else []
    mounts += [Mount(path, path, type="bind") for path in (*containers.written, *events)]
    return local.DockerRunner(
        network_mode="host",
        user=f"{os.geteuid()}:{os.getegid()}",
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - of the container
        mounts=mounts,
        labels={LABEL: str(folder)},
        environment={name: value for name, value in os.environ.items() if name.startswith(_PASSED)},
        init=True,
    )


def use_images(pipeline: Any, containers: Containers) -> None:
    """Have the components of a KFP pipeline run in the images of ``containers``, in place."""
    chosen = {DATA_IMAGE: containers.data_image, TRAIN_IMAGE: containers.train_image}
    for executor in pipeline.pipeline_spec.deployment_spec["executors"].values():
        executor["container"]["image"] = chosen[executor["container"]["image"]]


def remove_leftovers(folder: Path) -> None:
    """Remove the containers of the run in ``folder``, running or not."""
    with _client() as client:
        from docker.errors import NotFound

        for container in client.containers.list(all=True, filters={"label": f"{LABEL}={folder}"}):
            try:
                container.remove(force=True)
            except NotFound:
                continue


def _run_container(client: Any, image: str, command: list[str], volumes: dict[str, Any], **settings: Any) -> int:
    """Run a container to its end, printing what it says; its exit code."""
    container = client.containers.run(image, command, volumes=volumes, detach=True, **settings)
    try:
        for line in container.logs(stream=True, follow=True):
            print(line.decode("utf-8", "replace"), end="")
        return int(container.wait()["StatusCode"])
    finally:
        container.remove(force=True)


def _client() -> Any:
    """A client of the engine, to be closed by ``with``."""
    from contextlib import closing

    try:
        import docker
        import docker.errors
    except ImportError:
        raise ConfigurationError("--runner docker needs docker's client: pip install 'fec[docker]'") from None
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        raise RunFailed(f"no docker engine answers: {error}") from None
    return closing(client)
