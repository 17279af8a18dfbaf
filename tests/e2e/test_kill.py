"""Killed at any moment and started again, a run ends as if nothing had happened."""

import os
import signal
import time
from pathlib import Path

import pytest

from pipelines.demo.site import Site
from tests.e2e.conftest import TIMEOUT, Fec, digests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(8 * TIMEOUT)]

# What the results are: not the segments' times of day.
RESULTS = ("/cropped@", "/faces.parquet", "plan/", "collect/", "records/")


def kill_the_command(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_the_group(pid: int) -> None:
    """The pipeline's own process and all its tasks, and the command that would have noticed."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for child in children:
        os.killpg(child, signal.SIGKILL)
    os.killpg(pid, signal.SIGKILL)


def stored(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("kill", [kill_the_command, kill_the_group])
def test_killed_at_five_moments_it_ends_as_if_nothing_had_happened(
    fec: Fec, site: Site, tmp_path: Path, kill: object
) -> None:
    assert callable(kill)
    whole = tmp_path / "whole"
    started = time.monotonic()
    expected = fec.finish(whole)
    duration = time.monotonic() - started
    site.requests.clear()

    root = tmp_path / "killed"
    for moment in range(1, 6):
        process = fec.start(root)
        time.sleep(duration * (0.1 + 0.12 * moment) / (1 if moment < 4 else 1.2))
        assert process.poll() is None, process.communicate()
        kill(process.pid)
        process.communicate(timeout=10)
    again = fec.finish(root)

    assert digests(root, *RESULTS) == digests(whole, *RESULTS)
    assert again["funnel"] == expected["funnel"]
    assert again["triplet_accuracy"] == expected["triplet_accuracy"]
    assert [path for path, count in site.answers().items() if count > 2] == []
