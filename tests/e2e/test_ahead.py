"""A run that verifies faces while its downloads wait, killed in the middle: the same bytes as one that does not."""

import time
from pathlib import Path

import pytest

from tests.e2e.conftest import TIMEOUT, Fec, digests
from tests.e2e.test_kill import kill_everything
from tests.watching import content, found

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * TIMEOUT)]

RESULTS = ("/cropped@", "/faces.parquet")
SLOWLY = ("--until", "crops", "--requests-per-second", "3")


def verified(root: Path) -> int:
    return sum(max(0, len(content(path).splitlines()) - 1) for path in found(root, ".work/*/*/early.jsonl"))


def test_a_run_with_and_without_comes_to_the_same_crops_after_a_kill_too(fec: Fec, tmp_path: Path) -> None:
    root, plain = tmp_path / "root", tmp_path / "plain"
    with fec.start(root, *SLOWLY, "--ahead", "on") as process:
        deadline = time.monotonic() + TIMEOUT
        while verified(root) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        kill_everything(process.pid)
        process.communicate(timeout=10)
    fec.finish(root, *SLOWLY, "--ahead", "on")
    fec.finish(plain, *SLOWLY, "--ahead", "off")
    assert digests(root, *RESULTS) == digests(plain, *RESULTS)
    assert not (root / ".work").exists()
