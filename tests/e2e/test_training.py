"""Whole trainings on every way of spreading them: killed and told to end they end in the same bytes, together in the
same curve."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fec import layout
from tests.components.train.conftest import write_root
from tests.watching import content, found

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# So many that one which is told to end after its second checkpoint is far from its end.
STEPS = 150
RUN = "run"
TWO_DEVICES = "import tensorflow as tf; tf.config.set_logical_device_configuration(" + (
    "tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2);"
)
FACES_ON_DISK = "from components.train import input_pipeline; input_pipeline.DECODED_BYTES = 0;"
MAIN = "import sys; from fec.command import main; from components.train.step import Parameters, run;"
MAIN += "main(Parameters, run, 'train', '', sys.argv[1:])"
# How a training is spread: what is run before it, its options, its environment.
SHARED = ("--batches", "shared", "--faces-per-batch", "12")
WAYS: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "one device": ("", (), {}),
    "faces on the disk": (FACES_ON_DISK, (), {}),
    "two devices": (TWO_DEVICES, ("--device-count", "2"), {}),
    "JAX": ("", ("--backend", "jax"), {}),
    "JAX, two devices": (
        "",
        ("--backend", "jax", "--device-count", "2"),
        {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    ),
    "shared faces": ("", SHARED, {}),
    "shared faces, two devices": (TWO_DEVICES, (*SHARED, "--device-count", "2"), {}),
    "shared faces by JAX": ("", (*SHARED, "--backend", "jax"), {}),
}

TWO_HOSTS = "two hosts"


def begun(
    root: Path | str, way: str, *options: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    before, given, variables = WAYS[way]
    command = [sys.executable, "-c", before + MAIN, "--root", str(root), "--run", RUN, "--steps", str(STEPS)]
    command += ["--batch-size", "8", "--checkpoint-every", "5", *given, *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables | (environment or {}),
    )


def started(root: Path, way: str) -> list[subprocess.Popen[str]]:
    """The processes of a training that is spread that way, the one that stores it first."""
    if way != TWO_HOSTS:
        return [begun(root, way)]
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    told = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    return [begun(root, "one device", environment={"TF_CONFIG": text}) for text in told]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def ended(processes: Sequence[subprocess.Popen[str]], code: int = 0) -> list[str]:
    """What all ``processes`` said, which must end with ``code``."""
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), "\n".join(said)[-4000:]
    return said


def state(root: Path) -> dict[str, Any]:
    return json.loads(content(found(root, ".work/**/state.json")[0]))  # type: ignore[no-any-return]


def wait_for_checkpoint(root: Path, process: subprocess.Popen[str], after: int = 0) -> None:
    while process.poll() is None:
        if found(root, ".work/**/state.json") and state(root)["step"] > after:
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate()[1][-4000:])


def curve(root: Path) -> list[float]:
    return list(json.loads((root / layout.model_dir(RUN) / "history.json").read_text())["loss"])


class Whole(dict[str, Path]):
    """By the way it was spread, a root that holds a training that nothing disturbed; made when it is asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders

    def __missing__(self, way: str) -> Path:
        root = self[way] = self._folders.mktemp("whole") / "root"
        write_root(str(root), 120)
        ended(started(root, way))
        return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory)


def killed(root: Path, way: str, victims: slice) -> None:
    """Start a training, kill those processes of it after the next checkpoint, and wait for the others to end."""
    before = state(root)["step"] if list((root / ".work").rglob("state.json")) else 0
    processes = started(root, way)
    wait_for_checkpoint(root, processes[0], after=before)
    for process in processes[victims]:
        process.kill()
    for process in processes:
        said = process.communicate()[1]
        assert process.returncode == (-signal.SIGKILL if process in processes[victims] else 1), said[-4000:]
        assert "Traceback" not in said


# Of two hosts the chief, the other one, and both; where there is one process it is that.
# Shared faces in one way, the hardest, for the time it takes.
@pytest.mark.parametrize(
    "way", (*(way for way in WAYS if way not in ("shared faces", "shared faces by JAX")), TWO_HOSTS)
)
def test_killed_three_times_and_told_to_end_a_training_ends_in_the_same_bytes(
    whole: dict[str, Path], tmp_path: Path, way: str
) -> None:
    root = tmp_path / "root"
    write_root(str(root), 120)
    for victims in (slice(0, 1), slice(-1, None), slice(None)):
        killed(root, way, victims)
    processes = started(root, way)
    wait_for_checkpoint(root, processes[0], after=state(root)["step"])
    processes[-1].send_signal(signal.SIGTERM)
    for said in ended(processes, code=1):
        assert f"told to stop after step {state(root)['step']}, which is kept" in said
        assert "Traceback" not in said
    assert state(root)["step"] < STEPS
    ended(started(root, way))
    for name in ("model.keras", "history.json"):
        ours, theirs = (path / layout.model_dir(RUN) / name for path in (root, whole[way]))
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_faces_that_are_read_when_they_are_used_make_the_same_model(whole: dict[str, Path]) -> None:
    held, read = (
        (whole[way] / layout.model_dir(RUN) / "model.keras").read_bytes() for way in ("one device", "faces on the disk")
    )
    assert held == read


@pytest.mark.parametrize(
    ("way", "spread"),
    [
        ("one device", "two devices"),
        ("JAX", "JAX, two devices"),
        ("shared faces", "shared faces, two devices"),
    ],
)
def test_however_it_is_spread_a_training_has_one_curve(whole: dict[str, Path], way: str, spread: str) -> None:
    one, other = curve(whole[way]), curve(whole[spread])
    assert other[:2] == pytest.approx(one[:2], abs=0.01)
    assert other == pytest.approx(one, abs=0.08)  # small differences of rounding grow from step to step


def test_two_hosts_learn_what_one_does_and_the_chief_alone_stores_it(whole: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_root(str(root), 120)
    said = ended(started(root, TWO_HOSTS))
    assert "2 CPUs of 2 hosts" in said[0]
    assert "the chief of the 2 hosts stores the network" in said[1]
    assert curve(root)[:2] == pytest.approx(curve(whole["one device"])[:2], abs=0.01)
    about = json.loads((root / layout.model_dir(RUN) / "train.json").read_text())
    assert about["ran_on"]["hosts"] == 2


@pytest.mark.parametrize("way", ["one device", TWO_HOSTS])
def test_told_to_end_before_the_first_step_it_ends_in_one_line(tmp_path: Path, way: str) -> None:
    root = tmp_path / "root"
    write_root(str(root), 120)
    processes = started(root, way)
    told, *others = reversed(processes)
    assert told.stderr is not None
    said = ""
    while '"chosen"' not in said:
        said += told.stderr.readline()
    told.send_signal(signal.SIGTERM)
    said += told.communicate()[1]
    assert told.returncode == 1, said[-4000:]
    # The first step may have begun.
    assert "told to stop before a step was made" in said or "told to stop after step" in said
    for text in (said, *ended(others, code=1)):
        assert "Traceback" not in text
    assert not (root / "models").exists()
    ended(started(root, way))
