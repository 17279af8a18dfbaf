"""Plan and download together: a run that was killed, then asked for with other shards, loses nothing it had."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from components.download.step import run as download
from components.plan.step import Parameters
from components.plan.step import run as plan
from fec.segments import stored_images
from fec.storage import open_storage
from tests.components.download.site import HOSTS, JPEG, Hit, Site, answer, parameters, serve
from tests.watching import content, found


@pytest.fixture
def site() -> Iterator[Site]:
    async def picture(hit: Hit, out: object) -> None:
        await answer(JPEG + hit.path.encode())(hit, out)  # type: ignore[arg-type]

    with serve(HOSTS) as running:
        running.default = picture
        yield running


def safe(root: Path) -> set[str]:
    """Paths of the images that are stored below ``root``: in a segment or in a journal of any shard."""
    storage = open_storage(str(root))
    urls = set()
    for folder in (root / "images/train").glob("*"):
        urls |= {image.url for image in stored_images(storage, "train", int(folder.name)).values()}
    for journal in found(root, ".work/images/train/*/journal"):
        lines = content(journal).splitlines(keepends=True)
        urls |= {json.loads(line)["url"] for line in lines if line.endswith(b"\n")}
    return {urlsplit(url).path for url in urls}


def test_killed_and_planned_anew_nothing_stored_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    root, csv = tmp_path / "root", tmp_path / "annotations.csv"
    urls = [site.url(f"/{number}.jpg", HOSTS[number % len(HOSTS)]) for number in range(60)]
    triplets = (urls[at : at + 3] for at in range(0, 60, 3))
    rows = (",".join([*(f'"{url}",0.1,0.6,0.1,0.6' for url in faces), "ONE_CLASS_TRIPLET,a,1"]) for faces in triplets)
    csv.write_text("\n".join(rows) + "\n")
    # The last number of shards leaves most of those worked on before without a place in the plan.
    for num_shards, moment in ((2, 10), (7, 20), (4, 30), (1, 60)):
        before, asked = safe(root), len(site.log)
        plan(Parameters(str(root), "train", str(csv), num_shards=num_shards))
        if moment < 60:
            killed_once(root, moment)
        else:
            download(parameters(root))
        assert before <= safe(root)
        assert before.isdisjoint(hit.path for hit in site.log[asked:])
    assert site.asked().keys() == {urlsplit(url).path for url in urls}
    found = stored_images(open_storage(str(root)), "train", 0)
    assert {image.url for image in found.values() if image.offset is not None} == set(urls)
    assert not (root / ".work").exists()


def killed_once(root: Path, moment: int) -> None:
    """Download below ``root``, slowly, until ``moment`` images are stored; then SIGKILL."""
    command = [sys.executable, "-m", "components.download", "--root", str(root), "--split", "train", "--group", "0/1"]
    command += ["--allow-network", "127.0.0.0/8", "--requests-per-second", "4"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while len(safe(root)) < moment:
        assert process.poll() is None, f"ended before {moment} images were stored"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
