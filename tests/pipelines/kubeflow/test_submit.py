"""``fec submit`` against a server that checks every request: what it makes, what it finds, how it ends."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from kfp import compiler

from pipelines import cli
from pipelines.graph.options import CompileOptions
from pipelines.kubeflow.endpoint import Access
from pipelines.pipeline import pipeline
from tests.kfp_server.server import PipelinesServer, serving
from tests.wrong_values import UNREADABLE, WRONG, given

FOLDER = TemporaryDirectory()
REGISTRY = ("--registry", "ghcr.io/me")
PARAMETERS = ("root=gs://bucket/fec", "train_csv=gs://bucket/train.csv", "eval_csv=gs://bucket/eval.csv")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KFP_", "KF_PIPELINES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("kfp.client.Client._LOCAL_KFP_CONTEXT", os.devnull + "/context.json")


@pytest.fixture
def server() -> Iterator[PipelinesServer]:
    with serving() as server:
        yield server
        assert server.violations == []


@cache
def package() -> str:
    """The compiled pipeline, made once for the tests that do not look at how it is made."""
    path = f"{FOLDER.name}/fec_pipeline.yaml"
    compiler.Compiler().compile(pipeline_func=pipeline(CompileOptions(registry="ghcr.io/me")), package_path=path)
    return path


def fec(*arguments: str) -> int | str | None:
    """The exit code of ``fec submit`` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["submit", "--poll-interval", "0.01", *arguments])
    return ended.value.code


def submit(server: PipelinesServer, *arguments: str) -> int | str | None:
    """The exit code of ``fec submit`` of the compiled pipeline to ``server``."""
    return fec("--endpoint", server.url, "--package-file", package(), *arguments)


def test_everything_is_made_that_is_not_there(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert fec("--endpoint", server.url, *REGISTRY, "--run-name", "trial", *PARAMETERS, "max_shards=1") == 0
    assert [pipeline["name"] for pipeline in server.pipelines] == ["fec"]
    assert [experiment["display_name"] for experiment in server.experiments] == ["fec"]
    assert [re.fullmatch("[0-9a-f]{16}", version["name"]) is not None for version in server.versions] == [True]
    (run,) = server.runs
    assert run["display_name"] == "trial"
    assert run["runtime_config"]["parameters"]["max_shards"] == 1
    assert run["pipeline_version_reference"]["pipeline_version_id"] == server.versions[0]["pipeline_version_id"]
    assert capsys.readouterr().out == f"{server.url}/#/runs/details/{run['run_id']}\n"


def test_the_same_again_uses_what_is_there(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(server, *PARAMETERS) == 0
    first = capsys.readouterr().out
    assert submit(server, *PARAMETERS) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "is there already" in again.err
    assert (len(server.pipelines), len(server.versions), len(server.experiments), len(server.runs)) == (1, 1, 1, 1)


def test_other_parameters_are_another_run_of_the_same_version(server: PipelinesServer) -> None:
    assert submit(server, *PARAMETERS) == 0
    assert submit(server, *PARAMETERS, "seed=1") == 0
    assert (len(server.versions), len(server.runs)) == (1, 2)
    assert len({run["display_name"] for run in server.runs}) == 2


def test_other_compile_options_are_another_version_and_the_same_are_not(server: PipelinesServer) -> None:
    assert fec("--endpoint", server.url, *REGISTRY, *PARAMETERS) == 0
    assert submit(server, *PARAMETERS) == 0
    assert len(server.versions) == 1
    assert fec("--endpoint", server.url, *REGISTRY, "--parallelism", "7", *PARAMETERS) == 0
    assert (len(server.pipelines), len(server.versions), len(server.runs)) == (1, 2, 2)


def test_a_run_that_failed_is_not_used_again(server: PipelinesServer) -> None:
    server.engine.ends = "FAILED"
    assert submit(server, "--wait", *PARAMETERS) == 1
    assert submit(server, *PARAMETERS) == 0
    assert len(server.runs) == 2


def test_a_run_is_found_behind_more_of_its_name_than_a_page_holds(server: PipelinesServer) -> None:
    assert submit(server, "--run-name", "trial", *PARAMETERS) == 0
    server.runs[:0] = [
        server.runs[0] | {"run_id": str(number), "created_at": f"2999-01-01T00:00:{number % 60:02}Z", "state": "FAILED"}
        for number in range(120)
    ]
    assert submit(server, "--run-name", "trial", *PARAMETERS) == 0
    assert len(server.runs) == 121


def test_waiting_ends_well_with_a_run_that_succeeds(
    server: PipelinesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(server, "--wait", *PARAMETERS) == 0
    said = capsys.readouterr().err
    assert said.index("run PENDING") < said.index("run RUNNING") < said.index("run SUCCEEDED")


def test_a_run_whose_root_cannot_be_read_from_here_says_where_to_look(
    server: PipelinesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.engine.ends = "FAILED"
    assert submit(server, "--wait", *PARAMETERS) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    workflow = server.engine.workflow(server.runs[0]["run_id"])
    assert f"the run failed, and the engine gives no cause; more: fec status gs://bucket/fec --run {workflow}; " in last
    assert "executor" not in last


def test_a_run_that_was_cancelled_is_said_to_be(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.engine.ends = "CANCELED"
    assert submit(server, "--wait", "--attempts", "3", *PARAMETERS) == 1
    assert "the run was terminated" in capsys.readouterr().err.splitlines()[-1]
    assert len(server.runs) == 1


def test_stale_counts_of_the_engine_are_not_shown(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(server, "--wait", *PARAMETERS) == 0
    assert "running=" not in capsys.readouterr().err


def test_a_recurring_run_is_one_at_a_time_and_made_once(
    server: PipelinesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(server, "--every-hours", "6", *PARAMETERS) == 0
    first = capsys.readouterr().out
    assert submit(server, "--every-hours", "6", *PARAMETERS) == 0
    assert capsys.readouterr().out == first
    (recurring,) = server.recurring
    assert (recurring["max_concurrency"], recurring["no_catchup"], recurring["mode"]) == ("1", True, "ENABLE")
    assert recurring["trigger"] == {"periodic_schedule": {"interval_second": "21600"}}
    assert recurring["runtime_config"]["parameters"]["root"] == "gs://bucket/fec"
    assert server.runs == []


def test_the_pages_say_what_the_pipeline_does_and_what_was_compiled(server: PipelinesServer) -> None:
    assert fec("--endpoint", server.url, *REGISTRY, "--tag", "v1", "--spot", *PARAMETERS) == 0
    said = server.pipelines[0]["description"]
    assert said.startswith("Google's Facial Expression Comparison dataset")
    assert said.endswith("To be filled in: root, train_csv, eval_csv. Guide: docs/cluster.md.")
    assert server.runs[0]["description"] == "ghcr.io/me/fec-data:v1, ghcr.io/me/fec-train:v1, spot=True"


def test_a_compiled_file_says_itself_what_was_compiled(server: PipelinesServer, tmp_path: Path) -> None:
    path = str(tmp_path / "fec.yaml")
    options = CompileOptions(registry="ghcr.io/me", accelerator="nvidia-l4", options={"faces": {"crop_quality": "90"}})
    compiler.Compiler().compile(pipeline_func=pipeline(options), package_path=path)
    assert fec("--endpoint", server.url, "-f", path, *PARAMETERS) == 0
    said = server.runs[0]["description"]
    assert said.startswith("ghcr.io/me/fec-data:latest, ghcr.io/me/fec-train:latest")
    assert "accelerator=nvidia-l4" in said
    assert "faces.crop_quality=90" in said


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ((), "ghcr.io/me/fec-data-faced:latest"),
        (("--image", "data=ghcr.io/own/tensor:v2"), "ghcr.io/own/tensor:v2"),
        (("data_image=ghcr.io/own/tensor:v3",), "ghcr.io/own/tensor:v3"),
    ],
)
def test_faced_comes_with_the_image_that_has_what_it_needs(
    server: PipelinesServer, words: tuple[str, ...], taken: str
) -> None:
    faced = ("detector=faced", "detector_weights=gs://bucket/faced")
    assert fec("--endpoint", server.url, *REGISTRY, *PARAMETERS, *faced, *words) == 0
    [run] = server.runs
    assert run["runtime_config"]["parameters"]["data_image"] == taken


def test_without_images_nothing_is_sent(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert fec("--endpoint", server.url, *PARAMETERS) == 2
    assert "no images: give --registry" in one_line(capsys)
    assert server.requests == []


def test_waiting_outlives_an_outage(server: PipelinesServer) -> None:
    server.outages = 3
    assert submit(server, "--wait", *PARAMETERS) == 0
    assert server.outages == 0


def test_waiting_ends_when_the_api_is_gone_for_too_long(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.kubeflow.submit.PATIENCE", 0.0)
    server.outages = 3
    assert submit(server, "--wait", *PARAMETERS) == 1
    assert "the run goes on, and the same command waits for it again" in capsys.readouterr().err


def test_an_interrupted_wait_leaves_the_run_alone(
    server: PipelinesServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.kubeflow.submit.time.sleep", interrupt)
    assert submit(server, "--wait", *PARAMETERS) == 130
    assert "the run goes on" in capsys.readouterr().err
    assert server.runs[0]["state"] == "RUNNING"


def test_time_is_up_before_the_run_is(server: PipelinesServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.engine.ends = "RUNNING"
    assert submit(server, "--wait", "--timeout", "0.1", *PARAMETERS) == 1
    assert "still RUNNING after 0.1 s; it goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (PARAMETERS[:2], ["missing", "eval_csv"]),
        ((*PARAMETERS, "--set", "faces.crop_qualty=90"), ["did you mean crop_quality?"]),
        *((tuple(given(values)), list(words)) for values, words in (*WRONG, *UNREADABLE)),
        (("--run-name", "x" * 300, *PARAMETERS), ["run name", "128"]),
        (("--spot", *PARAMETERS), ["--spot goes into what is compiled", "--package-file"]),
        (("--registry", "ghcr.io/you", *PARAMETERS), ["--registry goes into what is compiled"]),
        (("--run-name", "a\nb", *PARAMETERS), ["run name", "control character"]),
        (("--run-service-account", "Not A Name", *PARAMETERS), ["--run-service-account 'Not A Name'"]),
        (("--attempts", "2", *PARAMETERS), ["--attempts 2", "--wait"]),
        (("--attempts", "0", *PARAMETERS), ["--attempts 0"]),
        (("--every-hours", "6", "--wait", *PARAMETERS), ["--every-hours", "--wait"]),
        (("--timeout", "-1", *PARAMETERS), ["--timeout"]),
        (("--experiment", " ", *PARAMETERS), ["experiment"]),
        (("--existing-token-file", "/nowhere", *PARAMETERS), ["--existing-token-file", "/nowhere"]),
        (("--package-file", "/nowhere.yaml", *PARAMETERS), ["/nowhere.yaml"]),
        (("--package-file", __file__, *PARAMETERS), ["no compiled pipeline"]),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line_before_anything_is_sent(
    server: PipelinesServer, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: list[str]
) -> None:
    assert submit(server, *arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert [word for word in words if word not in said] == []
    assert server.requests == []


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_an_endpoint_where_nothing_listens_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        words = ["submit", "--endpoint", url, "-f", package(), *PARAMETERS]
        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert f"endpoint {url} cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("url", "options", "word"),
    [
        ("localhost:8080", (), "http://"),
        ("https://127.0.0.1:9", ("--ssl-ca-cert", "/nowhere.pem"), "endpoint https://127.0.0.1:9"),
        ("https://{server}", (), "cannot be reached"),
    ],
)
def test_an_endpoint_that_cannot_be_spoken_to_is_one_line(
    server: PipelinesServer, capsys: pytest.CaptureFixture[str], url: str, options: tuple[str, ...], word: str
) -> None:
    url = url.replace("{server}", server.url.removeprefix("http://"))
    assert fec("--endpoint", url, "-f", package(), *options, *PARAMETERS) == 2
    assert word in one_line(capsys)


def test_no_endpoint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fec("-f", package(), *PARAMETERS) == 2
    assert "--endpoint" in one_line(capsys)


def test_a_login_page_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    class LoginPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<html>Log in with your multi_user account</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    page = ThreadingHTTPServer(("127.0.0.1", 0), LoginPage)
    Thread(target=page.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        assert fec("--endpoint", f"http://127.0.0.1:{page.server_address[1]}", "-f", package(), *PARAMETERS) == 2
    finally:
        page.shutdown()
        page.server_close()
    assert "login page" in one_line(capsys)


def test_a_token_from_a_file_lets_us_in_and_is_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with serving(token="s3cret") as server:
        assert submit(server, "--existing-token-file", str(token), "--wait", *PARAMETERS) == 0
    captured = capsys.readouterr()
    assert "s3cret" not in captured.out + captured.err


def test_a_token_from_the_environment_lets_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_EXISTING_TOKEN", "s3cret")
    with serving(token="s3cret") as server:
        assert submit(server, *PARAMETERS) == 0


def test_a_wrong_token_is_one_line_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(token="s3cret") as server:
        assert submit(server, "--existing-token", "wr0ng", *PARAMETERS) == 2
    said = one_line(capsys)
    assert "401" in said
    assert "wr0ng" not in said


@pytest.mark.parametrize("option", ["--existing-token-file", "--cookies-file"])
def test_a_secret_no_header_can_hold_is_one_line_without_it(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\nanother\n")
    with serving() as server:
        assert submit(server, option, str(secret), *PARAMETERS) == 2
    said = one_line(capsys)
    assert "line break" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("option", ["--endpoint", "--ui-host"])
@pytest.mark.parametrize("address", ["http://me:s3cret@127.0.0.1:9", "me:s3cret@127.0.0.1:9"])
def test_a_password_in_an_address_is_one_line_without_it(
    option: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        assert submit(server, option, address, *PARAMETERS) == 2
    said = one_line(capsys)
    assert f"{option} holds" in said
    assert "s3cret" not in said


def test_what_is_forbidden_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(forbidden=True) as server:
        assert submit(server, *PARAMETERS) == 2
    assert "403" in one_line(capsys)


def test_a_multi_user_kubeflow_needs_a_namespace(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(multi_user=True) as server:
        assert submit(server, *PARAMETERS) == 2
        assert "--namespace" in one_line(capsys)
        assert submit(server, "--namespace", "team-a", *PARAMETERS) == 0
        assert server.violations == []
        assert [thing["namespace"] for thing in server.experiments + server.pipelines] == ["team-a", "team-a"]


def test_a_namespace_is_left_out_where_there_are_none(server: PipelinesServer) -> None:
    assert submit(server, "--namespace", "team-a", *PARAMETERS) == 0
    assert server.experiments[0]["namespace"] == ""


def test_an_access_does_not_show_its_secrets() -> None:
    shown = repr(Access(existing_token="s3cret", other_client_secret="s3cret"))
    assert "s3cret" not in shown
