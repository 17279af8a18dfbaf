"""docs/cluster.md: its commands that need no cloud are run, one after the other, against servers that check them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kfp_server.server import serving as kubeflow
from tests.kube_server.server import serving as kubernetes

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "cluster.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.timeout(300)
def test_the_commands_that_need_no_cloud_do_what_the_page_says(tmp_path: Path) -> None:
    with kubeflow() as pipelines, kubernetes() as cluster:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(tmp_path),
            "KFP_ENDPOINT": pipelines.url,
            "KUBECONFIG": cluster.kubeconfig(tmp_path),
        }
        for block in COMMANDS:
            block = block.replace("fec submit --wait", "fec submit --wait --poll-interval 0.1")
            done = subprocess.run(
                ["bash", "-e", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"
        assert pipelines.violations == cluster.violations == []
        assert [run["display_name"] for run in pipelines.runs[1:]] == ["trial", "again"]
        assert cluster.jobs == {}


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE)
    assert [link for link in links if not (REPOSITORY / "docs" / link).exists()] == []
