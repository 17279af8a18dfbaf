"""The commands in README.md and docs/ that need no cloud are run, page by page, in order.

What they speak to is on loopback: a web server with photographs for ``fec run``, a Kubeflow Pipelines API and a
Kubernetes API that check every request for the rest. ``make`` and what takes as long is only looked up.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve
from tests.docs.fences import REPOSITORY, fences
from tests.fec.conftest import google_emulator
from tests.kfp_server.server import PipelinesServer
from tests.kfp_server.server import serving as kubeflow
from tests.kube_server.server import KubeServer
from tests.kube_server.server import serving as kubernetes

__all__ = ["google_emulator"]

# A line of the published annotations.
FACE = '"http://photos.test/{}.jpg",0.1,0.5,0.2,0.6'
ROW = ",".join((*(FACE.format(number) for number in range(3)), "TWO_CLASS_TRIPLET", "1,3,2,3,3,3"))
# What the pages leave at its default because it is right for the real dataset, and which is too much here.
SMALL = (
    "--allow-network 127.0.0.0/8 --requests-per-second 500 --num-train-shards 4 --num-eval-shards 1 --max-groups 2"
    " --train-steps 2"
)
INSTEAD = {
    "fec submit --wait": "fec submit --wait --poll-interval 0.1",
    "fec run": f"fec run {SMALL}",
}
# Takes minutes: that there is such a target is all that is looked at.
LOOKED_UP = f"""
make() {{ command make --dry-run --directory {REPOSITORY} "$@" > /dev/null; }}
export -f make
"""


@dataclass(frozen=True)
class Machine:
    """A folder with what a reader of the pages has in it, and the servers on loopback."""

    folder: Path
    environment: dict[str, str]
    pipelines: PipelinesServer
    cluster: KubeServer

    def run(self, page: str) -> None:
        """Run the page's ``sh`` blocks in a shell each; AssertionError with the block that fails."""
        for block in fences(REPOSITORY / page, "sh"):
            text = block.text
            for command, replacement in INSTEAD.items():
                text = re.sub(rf"{command}\b", replacement, text)
            done = subprocess.run(
                ["bash", "-e", "-c", LOOKED_UP + text],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block.text}\n{done.stderr[-4000:]}"
        assert self.pipelines.violations == self.cluster.violations == []


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    address = request.getfixturevalue("google_emulator")
    made = urllib.request.Request(
        f"{address}/storage/v1/b?project=my-project",
        json.dumps({"name": "my-fec-bucket"}).encode(),
        {"Content-Type": "application/json"},
    )
    with contextlib.suppress(urllib.error.HTTPError):  # there from the test before
        urllib.request.urlopen(made).close()
    with zipfile.ZipFile(tmp_path / "FEC_dataset.zip", "w") as archive:
        archive.writestr("FEC_dataset/faceexp-comparison-data-train-public.csv", f"{ROW}\n")
    with kubeflow() as pipelines, kubernetes() as cluster:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(tmp_path),
            "KFP_ENDPOINT": pipelines.url,
            "KUBECONFIG": cluster.kubeconfig(tmp_path),
            "STORAGE_EMULATOR_HOST": address,
        }
        yield Machine(tmp_path, environment, pipelines, cluster)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_guide_to_the_cluster(machine: Machine) -> None:
    machine.run("docs/cluster.md")
    assert [run["display_name"] for run in machine.pipelines.runs[1:]] == ["trial", "again"]
    assert machine.cluster.jobs == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readme(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serve(scenario(portraits=12, train_triplets=30, eval_triplets=12)) as site:
        csvs = site.write_csvs(tmp_path_factory.mktemp("annotations"))
        with zipfile.ZipFile(machine.folder / "FEC_dataset.zip", "w") as archive:
            for split, name in (("train", "train"), ("eval", "test")):
                archive.write(csvs[split], f"FEC_dataset/faceexp-comparison-data-{name}-public.csv")
        machine.run("README.md")
    assert list((machine.folder / "fec-data" / "reports").glob("*/report.html"))
    assert (machine.folder / "fec_pipeline.yaml").exists()
    assert len(machine.pipelines.runs) == 1


def test_the_page_on_images(machine: Machine) -> None:
    machine.run("docs/images.md")


def test_a_target_that_is_not_there_is_found_out(machine: Machine) -> None:
    asked = ["bash", "-e", "-c", f"{LOOKED_UP} make no-such-target"]
    assert subprocess.run(asked, cwd=machine.folder, env=machine.environment, capture_output=True).returncode
