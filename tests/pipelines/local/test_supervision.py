"""However a run ends, nothing of it goes on running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.local.supervision import supervised

# A child as pipelines.local.process is one: a lifeline, and below it a shell with a process of its own.
CHILD = """
import subprocess, sys
from pipelines.local.process import lifeline
with lifeline():
    print("up", flush=True)
    subprocess.run(["sh", "-c", f"echo $$ >> {sys.argv[1]}; sleep 60 & echo $! >> {sys.argv[1]}; wait"])
"""
PARENT = """
import os, sys
from pipelines.local.supervision import supervised
with supervised([sys.executable, "-c", sys.argv[2], sys.argv[1]], os.environ, sys.stdout.buffer) as process:
    for _ in process.looks():
        pass
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: object, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if callable(condition) and condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_was_started_ends_with_its_starter(tmp_path: Path, number: signal.Signals) -> None:
    pids_file = tmp_path / "pids"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(pids_file), CHILD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert wait_for(lambda: pids_file.exists() and len(pids_file.read_text().split()) == 2)
        pids = [int(pid) for pid in pids_file.read_text().split()]
        assert all(alive(pid) for pid in pids)
        parent.send_signal(number)
        parent.wait(10)
        assert wait_for(lambda: not any(alive(pid) for pid in pids))
    finally:
        parent.kill()
        parent.communicate()


def test_what_a_killed_command_started_ends_too(tmp_path: Path) -> None:
    pids_file = tmp_path / "pids"
    with (
        (tmp_path / "output").open("wb") as output,
        supervised([sys.executable, "-c", CHILD, str(pids_file)], os.environ, output) as process,
    ):
        assert wait_for(lambda: pids_file.exists() and len(pids_file.read_text().split()) == 2)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    pids = [int(pid) for pid in pids_file.read_text().split()]
    assert wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_look_is_had_while_it_runs_and_once_after_its_end(tmp_path: Path) -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); input()"
    path, seen = tmp_path / "output", []
    with (
        path.open("wb") as output,
        supervised([sys.executable, "-u", "-c", script], os.environ, output) as process,
    ):
        for _ in process.looks():
            seen.append(path.read_text())
            if seen[-1] == "out\nerr\n" and alive(process.pid):
                os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
    assert len(seen) > 1
    assert seen[-1] == "out\nerr\n"
