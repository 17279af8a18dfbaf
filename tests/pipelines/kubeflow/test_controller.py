"""What fec submit says of the controller's setting, where it can be seen."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipelines import cli
from pipelines.kubeflow.controller import CONFIG_MAP, NAMESPACE, advice
from tests.kfp_server.server import serving as kubeflow
from tests.kube_server.server import KubeServer, serving
from tests.wrong_values import GOOD

# As the manifests of 2.17.0 have them, and a setting beside.
STOCK = """\
spec:
  ttlStrategy: {secondsAfterCompletion: 3600}
  templateDefaults:
    retryStrategy: {limit: 2, retryPolicy: OnError}
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeServer]:
    with serving() as server:
        monkeypatch.setenv("KUBECONFIG", server.kubeconfig(tmp_path))
        yield server
        assert server.violations == []


def test_a_stock_installation_is_told_the_one_setting_as_a_command(cluster: KubeServer) -> None:
    cluster.config_maps[NAMESPACE, CONFIG_MAP] = {"workflowDefaults": STOCK}
    command = advice().partition("with: ")[2].partition(" && ")[0]
    *kubectl, patch = shlex.split(command)
    assert kubectl == ["kubectl", "patch", "configmap", CONFIG_MAP, "-n", NAMESPACE, "--type", "merge", "-p"]
    left = yaml.safe_load(json.loads(patch)["data"]["workflowDefaults"])
    assert left == {"spec": {"ttlStrategy": {"secondsAfterCompletion": 3600}}}


@pytest.mark.parametrize(
    "data",
    [
        {"workflowDefaults": "spec:\n  ttlStrategy: {}\n"},
        {"workflowDefaults": "spec:\n"},
        {"workflowDefaults": "[]"},
        {"workflowDefaults": ": : :"},
        {"config": "{}"},
        {},
    ],
)
def test_another_is_told_nothing(cluster: KubeServer, data: dict[str, str]) -> None:
    cluster.config_maps[NAMESPACE, CONFIG_MAP] = data
    assert advice() == ""


def test_where_it_cannot_be_seen_nothing_is_said(
    cluster: KubeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert advice() == ""
    cluster.forbidden = True
    assert advice() == ""
    assert advice("no-such-context") == ""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert advice() == ""


def test_a_cluster_that_is_not_there_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", KubeServer(url="http://127.0.0.1:9").kubeconfig(tmp_path))
    assert advice() == ""


def test_submit_says_it_and_goes_on(cluster: KubeServer, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.config_maps[NAMESPACE, CONFIG_MAP] = {"workflowDefaults": STOCK}
    with kubeflow() as pipelines, pytest.raises(SystemExit) as ended:
        cli.main(["submit", "--endpoint", pipelines.url, "--registry", "ghcr.io/me", *GOOD])
    assert ended.value.code == 0
    assert "kubectl patch configmap" in capsys.readouterr().err
    assert len(pipelines.runs) == 1
