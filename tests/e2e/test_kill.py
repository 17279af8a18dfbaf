"""Killed at any moment and started again, a run ends as if nothing had happened."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from fec.layout import SPLITS
from fec.segments import stored_images
from fec.storage import open_storage
from pipelines.demo.site import Site
from tests.e2e.conftest import TIMEOUT, Fec, digests
from tests.watching import content, found

pytestmark = [pytest.mark.slow, pytest.mark.timeout(8 * TIMEOUT)]

# What the results are: not the segments, which hold the time of day.
RESULTS = ("/cropped@", "/faces.parquet", "/triplets.parquet", "funnel.json", "plan/", "records/")
# Slow enough for a kill to come between two images.
SLOWLY = ("--requests-per-second", "8")


def stored(root: Path) -> set[str]:
    """Paths of the pictures that are safely stored: in a segment, or in the journal of one that is not finished."""
    urls = set()
    for split in SPLITS:
        for folder in (root / "images" / split).glob("*"):
            images = stored_images(open_storage(str(root)), split, int(folder.name))
            urls |= {image.url for image in images.values() if image.offset is not None}
    for journal in found(root, ".work/images/*/*/journal"):
        for line in content(journal).splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # torn by the kill
                break
            if row["offset"] is not None:
                urls.add(row["url"])
    return {unquote(urlsplit(url).path) for url in urls}


def wait_until_idle(site: Site) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not site.idle:
        assert time.monotonic() < deadline, "the site is never done"
        time.sleep(0.01)


def collected(root: Path) -> int:
    return sum((root / "collect" / split / "_DONE.json").exists() for split in SPLITS)


# The executor may take either split first.
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the first images are stored": lambda root: len(stored(root)) >= 3,
    "many images are stored": lambda root: len(stored(root)) >= 10,
    "the first crops are cut": lambda root: bool(found(root, "*/*/cropped@*")),
    "one split is collected": lambda root: collected(root) >= 1,
    "images of the other split are stored": lambda root: len(stored(root)) >= 30,
    "both splits are collected": lambda root: collected(root) == 2,
}


def kill_the_command(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_everything(pid: int) -> None:
    """The pipeline's own process with its tasks, and the command that would have noticed."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    for child in children:
        os.killpg(child, signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(fec: Fec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that nobody disturbed, and its result."""
    root = tmp_path_factory.mktemp("whole") / "root"
    return root, fec.finish(root, *SLOWLY)


@pytest.mark.parametrize("kill", [kill_the_command, kill_everything])
def test_killed_at_many_moments_it_ends_as_if_nothing_had_happened(
    whole: tuple[Path, dict[str, Any]], fec: Fec, site: Site, tmp_path: Path, kill: Callable[[int], None]
) -> None:
    root = tmp_path / "root"
    for moment, come in MOMENTS.items():
        safe, asked = stored(root), len(site.requests)
        with fec.start(root, *SLOWLY) as process:
            deadline = time.monotonic() + TIMEOUT
            while not come(root):
                assert process.poll() is None, f"ended before {moment}: {process.communicate()}"
                assert time.monotonic() < deadline, f"not within {TIMEOUT} s: {moment}"
                time.sleep(0.01)
            kill(process.pid)
            process.communicate(timeout=10)
        wait_until_idle(site)  # a request is logged after its answer, which may have been stored before
        assert safe.isdisjoint(request.path for request in site.requests[asked:])
    safe, asked = stored(root), len(site.requests)
    result = fec.finish(root, *SLOWLY)
    assert safe.isdisjoint(request.path for request in site.requests[asked:])

    expected_root, expected = whole
    assert result["funnel"] == expected["funnel"]
    assert result["triplet_accuracy"] == expected["triplet_accuracy"]
    assert digests(root, *RESULTS) == digests(expected_root, *RESULTS)
    assert not (root / ".work").exists()
