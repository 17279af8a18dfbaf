"""The real ``kfp`` command, as documented, against a server that checks every request against the API's definition."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import yaml

from tests.kfp_server.server import PipelinesServer, serving

PARAMETERS = ("root=gs://bucket/fec", "train_csv=gs://bucket/train.csv", "eval_csv=gs://bucket/eval.csv")


@pytest.fixture
def server() -> Iterator[PipelinesServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pipeline as ``fec compile`` writes it."""
    path = tmp_path_factory.mktemp("package") / "fec_pipeline.yaml"
    command = [sys.executable, "-m", "pipelines.cli", "compile", "-o", str(path), "--registry", "ghcr.io/me"]
    subprocess.run(command, check=True, timeout=120)
    return str(path)


def kfp(server: PipelinesServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("kfp")), "--endpoint", server.url, "--output", "json", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"HOME": os.devnull}
    )


def ask(server: PipelinesServer, method: str, path: str, body: object = None) -> int:
    """The status of the server's answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    data = None if body is None else json.dumps(body)
    with contextlib.closing(connection):
        connection.request(method, path, data, {"Content-Type": "application/json"})
        return connection.getresponse().status


def test_a_pipeline_is_created_and_then_a_version_of_it(server: PipelinesServer, package: str) -> None:
    created = kfp(server, "pipeline", "create", "-p", "fec", package)
    assert created.returncode == 0, created.stderr
    version = kfp(server, "pipeline", "create-version", "-n", "fec", "-v", "second", package)
    assert version.returncode == 0, version.stderr
    assert [version["name"] for version in server.versions] == ["fec", "second"]
    assert server.violations == []


@pytest.mark.parametrize("verb", ["create", "submit"])
def test_a_run_is_made_of_the_compiled_file(server: PipelinesServer, package: str, verb: str) -> None:
    made = kfp(server, "run", verb, "-e", "fec", "-r", "trial", "-f", package, *PARAMETERS, "max_shards=1")
    assert made.returncode == 0, made.stderr
    assert server.violations == []
    assert [run["display_name"] for run in server.runs] == ["trial"]
    assert server.runs[0]["runtime_config"]["parameters"] == {
        "root": "gs://bucket/fec",
        "train_csv": "gs://bucket/train.csv",
        "eval_csv": "gs://bucket/eval.csv",
        "max_shards": 1,
    }


def test_a_run_is_watched_to_its_end_in_an_experiment_that_is_there_already(
    server: PipelinesServer, package: str
) -> None:
    assert ask(server, "POST", "/apis/v2beta1/experiments", {"display_name": "fec"}) == 200
    made = kfp(server, "run", "create", "-e", "fec", "-w", "-f", package, *PARAMETERS)
    assert made.returncode == 0, made.stderr
    assert "Run is finished with state SUCCEEDED" in made.stdout
    assert len(server.experiments) == 1
    assert server.violations == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eval_csv": None}, "'eval_csv' is missing"),
        ({"shards": 3}, "no parameter 'shards'"),
        ({"max_shards": "many"}, "no NUMBER_INTEGER"),
        ({"detector": "x" * 10_001}, "longer than 10000 bytes"),
    ],
)
def test_parameters_the_pipeline_has_not_are_refused(
    server: PipelinesServer, package: str, change: dict[str, object], reason: str
) -> None:
    assert ask(server, "POST", "/apis/v2beta1/experiments", {"display_name": "fec"}) == 200
    given = {"root": "gs://bucket/fec", "train_csv": "a.csv", "eval_csv": "b.csv"} | change
    spec, platform = yaml.load_all(Path(package).read_text(), Loader=yaml.CSafeLoader)
    run = {
        "display_name": "trial",
        "experiment_id": server.experiments[0]["experiment_id"],
        "pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform},
        "runtime_config": {"parameters": {name: value for name, value in given.items() if value is not None}},
    }
    assert ask(server, "POST", "/apis/v2beta1/runs", run) == 400
    assert reason in server.violations[0]
    assert server.runs == []


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("GET", "/apis/v2beta1/shards", None, "not in the API"),
        ("GET", "/apis/v2beta1/runs?colour=red", None, "query parameter 'colour'"),
        ("GET", "/apis/v2beta1/runs?page_size=ten", None, "not an integer"),
        ("GET", "/apis/v2beta1/runs?filter=" + quote("{"), None, "filter is not JSON"),
        ("GET", "/apis/v2beta1/runs?filter=" + quote('{"predicates":[{"op":"EQUALS"}]}'), None, "op"),
        ("GET", "/apis/v2beta1/runs?filter=" + quote('{"predicates":[{"operation":4}]}'), None, "4"),
        ("POST", "/apis/v2beta1/experiments", {"display_name": "fec", "colour": "red"}, "colour"),
        ("POST", "/apis/v2beta1/experiments", {"display_name": 1}, "display_name"),
        ("POST", "/apis/v2beta1/runs", {"display_name": "a", "state": "DANCING"}, "DANCING"),
        ("POST", "/apis/v2beta1/pipelines/upload", None, "multipart/form-data"),
    ],
)
def test_what_the_definition_does_not_have_is_a_violation(
    server: PipelinesServer, method: str, path: str, body: object, reason: str
) -> None:
    assert ask(server, method, path, body) == 400
    assert reason in server.violations[0]


def test_an_upload_that_is_no_pipeline_is_a_violation(server: PipelinesServer, tmp_path: Path) -> None:
    package = tmp_path / "pipeline.yaml"
    package.write_text("pipelineInfo: {name: fec}\nsteps: []\n")
    assert kfp(server, "pipeline", "create", "-p", "fec", str(package)).returncode != 0
    assert "no PipelineSpec" in server.violations[0]
