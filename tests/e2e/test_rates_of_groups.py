"""Four tasks at once, killed and started again: no host sees more than the limit and two requests in a second."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fec.outcomes import ImageOutcome
from tests.components.download.site import HOSTS, Site, answer, in_turn, plan, redirect, serve, stored
from tests.components.download.test_outcomes import picture
from tests.components.download.test_politeness import at_host, most_in_a_second

pytestmark = pytest.mark.slow

LIMIT = 20.0
TASKS = 4
IMAGES = 70
KILLS = 6


def troubled(site: Site) -> list[str]:
    """URLs at three hosts: pictures, redirects within and across hosts, chains to nowhere, refusals, hiccups."""
    site.default = picture
    urls = []
    for place, host in enumerate(HOSTS[:3]):
        other = HOSTS[(place + 1) % 3]
        for number in range(IMAGES):
            path = f"/{place}/{number}"
            urls.append(site.url(path, host))
            match number % 8:
                case 1:
                    site.pages[path] = redirect(f"/on{path}")
                case 2:
                    site.pages[path] = redirect(site.url(f"/on{path}", other))
                case 3:
                    site.pages[path] = redirect(site.url(f"/far{path}", HOSTS[3]))
                case 4:
                    site.pages |= {path: redirect(f"/a{path}"), f"/a{path}": redirect("ftp://nowhere/")}
                case 5:
                    site.pages[path] = answer(b"", "403 Forbidden")
                case 6:
                    site.pages[path] = in_turn(answer(b"", "500 Oops"), picture)
    return urls


def test_four_tasks_with_kills_keep_to_the_limit_at_every_host(tmp_path: Path) -> None:
    draw = random.Random(0)

    def started(group: int) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "components.download", "--root", str(tmp_path), "--split", "train"),
            *("--group", f"{group}/{TASKS}", "--allow-network", "127.0.0.0/8", "--requests-per-second", str(LIMIT)),
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with serve() as site:
        urls = troubled(site)
        plan(tmp_path, urls, num_shards=TASKS, shard_of=lambda url: int(url.rpartition("/")[2]) // 8 % TASKS)
        tasks = [started(group) for group in range(TASKS)]
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.5, 2))
            group = draw.randrange(TASKS)
            tasks[group].send_signal(signal.SIGKILL)
            tasks[group].wait()
            tasks[group] = started(group)
        assert [task.wait(120) for task in tasks] == [0] * TASKS
        for host in HOSTS[:4]:
            assert most_in_a_second(at_host(site, host)) <= LIMIT + 2, host
        kinds = {image.outcome for image in stored(tmp_path, TASKS).values()}
        assert kinds == {ImageOutcome.FETCHED, ImageOutcome.REFUSED, ImageOutcome.INVALID_URL}
