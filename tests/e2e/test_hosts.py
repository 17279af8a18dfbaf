"""Hosts that train together on a bucket, each with a disk of its own: as on a folder, killed or told to end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fec import layout
from fec.storage import open_storage
from tests.components.train.conftest import write_root
from tests.e2e.test_training import RUN, TWO_HOSTS, begun, ended, free_port, started
from tests.fec.conftest import BUCKET, google_emulator, use_google

__all__ = ["google_emulator", "use_google"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("use_google")]

TRIPLETS = 120


@dataclass
class Hosts:
    """Two hosts on ``root``; each time they are started on disks that nobody has used."""

    root: str
    folder: Path
    disks: list[Path] = field(default_factory=list)

    def start(self) -> list[subprocess.Popen[str]]:
        """The processes, the chief's first."""
        cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
        processes = []
        for index in range(2):
            disk = self.folder / f"disk{len(self.disks)}"
            disk.mkdir()
            self.disks.append(disk)
            told = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            processes.append(begun(self.root, "one device", environment={"TF_CONFIG": told, "TMPDIR": str(disk)}))
        return processes

    def state(self) -> dict[str, Any]:
        """The last checkpoint's; empty before there is one."""
        storage = open_storage(self.root)
        paths = [entry.path for entry in storage.list("models") if entry.path.endswith("/state.json")]
        return dict(json.loads(storage.read(paths[0]))) if paths else {}

    def wait_for_checkpoint(self, process: subprocess.Popen[str]) -> None:
        """Until there is one later than now."""
        before = self.state().get("step", 0)
        while self.state().get("step", 0) <= before:
            assert process.poll() is None, process.communicate()[1][-4000:]
            time.sleep(0.05)

    def made(self) -> dict[str, bytes]:
        storage = open_storage(self.root)
        return {name: storage.read(f"{layout.model_dir(RUN)}/{name}") for name in ("model.keras", "history.json")}


@pytest.fixture(scope="module")
def in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What two hosts make on a folder."""
    root = tmp_path_factory.mktemp("folder") / "root"
    write_root(str(root), TRIPLETS)
    ended(started(root, TWO_HOSTS))
    return {name: (root / layout.model_dir(RUN) / name).read_bytes() for name in ("model.keras", "history.json")}


@pytest.fixture
def hosts(tmp_path: Path, request: pytest.FixtureRequest) -> Hosts:
    root = f"gs://{BUCKET}/{request.node.name.partition('[')[0]}"
    write_root(root, TRIPLETS)
    return Hosts(root, tmp_path)


def test_hosts_make_on_a_bucket_what_they_make_on_a_folder(hosts: Hosts, in_a_folder: dict[str, bytes]) -> None:
    said = ended(hosts.start())
    assert "2 CPUs of 2 hosts" in said[0]
    assert "the chief of the 2 hosts stores the network" in said[1]
    assert hosts.made() == in_a_folder
    assert not [entry.path for entry in open_storage(hosts.root).list("models") if "checkpoint" in entry.path]
    assert [list(disk.glob("fec-*")) for disk in hosts.disks] == [[], []]


def test_killed_and_told_to_end_hosts_on_other_machines_go_on_to_the_same_bytes(
    hosts: Hosts, in_a_folder: dict[str, bytes]
) -> None:
    for victim in (0, 1):
        processes = hosts.start()
        hosts.wait_for_checkpoint(processes[0])
        processes[victim].kill()
        for process in processes:
            said = process.communicate()[1]
            assert process.returncode == (-signal.SIGKILL if process is processes[victim] else 1), said[-4000:]
            assert "Traceback" not in said
    processes = hosts.start()
    hosts.wait_for_checkpoint(processes[0])
    processes[1].send_signal(signal.SIGTERM)
    for said in ended(processes, code=1):
        assert f"told to stop after step {hosts.state()['step']}, which is kept" in said
    ended(hosts.start())
    assert hosts.made() == in_a_folder
