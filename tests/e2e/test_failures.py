"""Runs that cannot come to an end: one clear line, the right exit code, nothing lost."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.demo.site import Site
from tests.e2e.conftest import TIMEOUT, Fec, digests

pytestmark = pytest.mark.timeout(2 * TIMEOUT)


def row(*urls: str) -> str:
    faces = ",".join(f'"{url}",0.1,0.6,0.1,0.6' for url in urls)
    return f"{faces},ONE_CLASS_TRIPLET,a,1,b,1,c,1\n"


def csvs(folder: Path, content: str) -> Fec:
    paths = {split: folder / f"{split}.csv" for split in ("train", "eval")}
    for path in paths.values():
        path.write_text(content)
    return Fec(paths)


@pytest.mark.slow
def test_a_host_that_refuses_every_connection_is_an_outage_not_dead_links(tmp_path: Path, site: Site) -> None:
    deserted = site.origins[-1]
    fec = csvs(tmp_path, "".join(row(*(f"{deserted}/{n}{name}.jpg" for name in "abc")) for n in range(4)))
    done = fec.run(tmp_path / "root")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fec run: error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    shutil.rmtree(Path(last.rpartition("(log: ")[2].rstrip(")")).parent)
    # Nothing was recorded as final: once the host is back, the same command fetches everything.
    assert not [name for name in digests(tmp_path / "root", "images/") if name.endswith("_DONE.json")]


@pytest.mark.slow
def test_no_surviving_triplet_ends_the_run_with_the_reason_and_the_log(tmp_path: Path, site: Site) -> None:
    origin = site.origins[0]
    fec = csvs(tmp_path, "".join(row(*(f"{origin}/nothing/{n}{name}.jpg" for name in "abc")) for n in range(4)))
    done = fec.run(tmp_path / "root")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fec run: error: ")
    assert "surviv" in last
    assert "Traceback" not in done.stderr
    funnel = json.loads((tmp_path / "root" / "collect" / "train" / "funnel.json").read_text())
    assert (funnel["images"], funnel["fetched"], funnel["triplets_ok"]) == (12, 0, 0)
    log = Path(last.rpartition("(log: ")[2].rstrip(")"))
    assert "Running pipeline" in log.read_text()
    shutil.rmtree(log.parent)
