"""The download killed at 25 moments, on each kind of root: nothing stored is asked for again, and all is as without."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from components.download.step import run
from fec import layout
from fec.done import read_done
from fec.storage import open_storage
from tests.components.download.site import (
    HOSTS,
    NOT_FOUND,
    Site,
    in_turn,
    parameters,
    plan,
    raw,
    redirect,
    serve,
    stored,
)
from tests.components.download.site import answer as answering
from tests.components.download.test_outcomes import picture
from tests.fec.conftest import BUCKET, google_emulator, s3_server, use_google, use_s3

__all__ = ["google_emulator", "s3_server", "use_google", "use_s3"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 25
SHARDS = 3
IMAGES = 300
OOPS = answering(b"", "500 Oops")


def troubled(site: Site) -> list[str]:
    """URLs at three hosts, some dead, some led on, some of which fail at first."""
    site.default = picture
    for number in range(IMAGES):
        match number % 10:
            case 1:
                site.pages[f"/{number}"] = NOT_FOUND
            case 2:
                site.pages[f"/{number}"] = redirect(site.url(f"/on/{number}", HOSTS[(number + 1) % 3]))
            case 3:
                site.pages[f"/{number}"] = in_turn(OOPS, picture)
            case 4:
                site.pages[f"/{number}"] = in_turn(raw(b"HTTP/1.1 200 OK\r\nContent-", reset=True), picture)
    return [site.url(f"/{number}", HOSTS[number % 3]) for number in range(IMAGES)]


def safe(root: str) -> set[str]:
    """Paths of the images in a segment or in a journal."""
    urls = set(stored(root, SHARDS))
    for shard in range(SHARDS):
        journal = open_storage(root).workspace(layout.images_dir("train", shard)) / "journal"
        lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
        urls |= {json.loads(line)["url"] for line in lines if line.endswith(b"\n")}
    return {urlsplit(url).path for url in urls}


def results(root: str) -> list[tuple[str, dict[str, int]]]:
    markers = [read_done(open_storage(root), layout.images_dir("train", shard)) for shard in range(SHARDS)]
    return [(done.digest, dict(done.counts)) for done in markers if done is not None]


@pytest.mark.parametrize("kind", ["folder", "gs", "s3"])
def test_killed_at_many_moments_all_is_as_without(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    root = str(tmp_path / "killed")
    if kind != "folder":
        request.getfixturevalue({"gs": "use_google", "s3": "use_s3"}[kind])
        root = f"{kind}://{BUCKET}/kills-{os.getpid()}"
    draw = random.Random(kind)
    command = [
        *(sys.executable, "-m", "components.download", "--root", root, "--split", "train"),
        *("--allow-network", "127.0.0.0/8", "--requests-per-second", "25"),
    ]
    with serve() as site:
        urls = troubled(site)
        whole = str(tmp_path / "whole")
        for one in (root, whole):
            plan(one, urls, num_shards=SHARDS)
        run(parameters(whole))
        urls = troubled(site)
        for _ in range(KILLS):
            before, asked = safe(root), len(site.log)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 30
            while len(site.log) == asked and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert before.isdisjoint(hit.path for hit in site.log[asked:])
        before, asked = safe(root), len(site.log)
        assert subprocess.run(command, capture_output=True).returncode == 0
        assert before.isdisjoint(hit.path for hit in site.log[asked:])
    assert results(root) == results(whole)
    assert len(results(root)) == SHARDS
