"""``fec jobs`` against a Kubernetes API on loopback that checks what it is sent, and a root with real markers."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.storage import open_storage
from fec.task_records import recorded
from pipelines import cli
from tests.kube_server.server import KubeServer, faults, serving

IMAGE = ("--image", "ghcr.io/me/fec-data:v1")
LAUNCH = ("launch", "download", "--root", "gs://bucket/fec", "--split", "train", "--num-shards", "5", *IMAGE)
JOB = ("fec", "fec-download-train")


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with serving() as server:
        yield server
        assert server.violations == []


@pytest.fixture
def kubeconfig(server: KubeServer, tmp_path: Path) -> str:
    return server.kubeconfig(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A root whose train split has five shards: 0 and 2 fetched, nothing verified, three record files, one written."""
    root = tmp_path / "root"
    storage = open_storage(str(root))
    plan = Done("plan", "f", "d", details={"num_shards": 5})
    write_done(storage, layout.plan_dir("train"), plan)
    for shard, fetched in ((0, 30), (2, 12)):
        done = Done("download", "f", "d", {"images": 40, "ok": fetched})
        write_done(storage, layout.images_dir("train", shard), done)
    counts = {"records": 5000, "record_shards": 3}
    write_done(storage, layout.collect_dir("train"), Done("collect", "f", "d", counts))
    write_done(storage, layout.record_done_dir("train", 1, 3), Done("datagen", "f", "d", {"triplets": 1000}))
    return str(root)


def fec(*arguments: str) -> int | str | None:
    """The exit code of ``fec jobs`` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["jobs", *arguments])
    return ended.value.code


def test_a_dry_run_prints_what_kubectl_takes_and_asks_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert fec(*LAUNCH, "--dry-run", "--kubeconfig", "/nowhere", "--", "--attempts", "5") == 0
    (job,) = yaml.safe_load_all(capsys.readouterr().out)
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("batch/v1", "Job", "fec-download-train")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][4:6] == ["--attempts", "5"]
    assert faults(job, "1.33") == []


def test_a_job_is_launched_in_the_namespace_of_the_context(
    server: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig, "--max-num-jobs", "2") == 0
    assert server.jobs[JOB]["spec"]["completions"] == 2
    assert capsys.readouterr().out == "fec-download-train: 2 indexes, 2 at a time\n"


def test_a_job_is_launched_where_it_is_told(server: KubeServer, kubeconfig: str) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig, "--namespace", "default", "--name", "trial") == 0
    assert list(server.jobs) == [("default", "trial")]


def test_status_joins_the_job_and_its_shards(
    server: KubeServer, kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    server.jobs[JOB]["status"] = {"active": 1, "completedIndexes": "0,2", "failedIndexes": "3-4"}
    capsys.readouterr()
    assert fec("status", "download", "--split", "train", "--root", root, "--kubeconfig", kubeconfig) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Job fec-download-train: 2 of 5 indexes completed, 1 at work, 2 failed",
        "  failed indexes: 3-4",
        "download train: 2 of 5 shards done (40%)",
        "  images=80 ok=42",
        "  not done: 1,3-4",
    ]


def test_status_tells_what_the_pods_have_written_too(
    server: KubeServer, kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    with pytest.raises(RunFailed), recorded(root, "download", "train", "3/5", {"FEC_RUN": "fec-download-train"}):
        raise RunFailed("the network is gone")
    capsys.readouterr()
    status = ("status", "download", "--split", "train", "--root", root, "--kubeconfig", kubeconfig)
    assert fec(*status) == 0
    said = capsys.readouterr().out
    assert "  not done: 1,3-4\n\n" in said
    assert "download train 3/5 (pod" in said
    assert "exit code 1: the network is gone" in said
    assert "pod hours in all: 0.00" in said
    assert fec(*status, "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["failed"] == 1


def test_status_as_json_has_every_shard_and_how_the_job_ended(
    server: KubeServer, kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    failed = {"type": "Failed", "status": "True", "reason": "MaxFailedIndexesExceeded", "message": "too many"}
    server.jobs[JOB]["status"] = {"completedIndexes": "0,2", "failedIndexes": "1", "conditions": [failed]}
    capsys.readouterr()
    assert fec("status", "download", "--split", "train", "--root", root, "--kubeconfig", kubeconfig, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "step": "download",
        "split": "train",
        "job": {
            "name": "fec-download-train",
            "indexes": 5,
            "active": 0,
            "completed": "0,2",
            "failed": "1",
            "ended": "Failed",
            "reason": "MaxFailedIndexesExceeded too many",
        },
        "shards": 5,
        "done": 2,
        "missing": "1,3-4",
        "counts": {"images": 80, "ok": 42},
        "counts_by_shard": {"0": {"images": 40, "ok": 30}, "2": {"images": 40, "ok": 12}},
    }


def test_status_finds_the_root_in_the_job(
    server: KubeServer, kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    server.jobs[JOB]["metadata"]["annotations"]["fec-pipeline/root"] = root
    assert fec("status", "download", "--split", "train", "--kubeconfig", kubeconfig, "--per-shard") == 0
    said = capsys.readouterr().out
    assert "shard 1: not done" in said
    assert "shard 2: images=40 ok=12" in said


def test_shards_can_be_looked_at_when_the_job_is_gone(
    kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec("status", "faces", "--split", "train", "--root", root, "--kubeconfig", kubeconfig) == 0
    said = capsys.readouterr().out
    assert "Job fec-faces-train: there is no such Job" in said
    assert "faces train: 0 of 5 shards done (0%)" in said


def test_the_record_files_of_datagen_are_its_shards(
    kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec("status", "datagen", "--split", "train", "--root", root, "--kubeconfig", kubeconfig) == 0
    assert "datagen train: 1 of 3 shards done (33%)\n  triplets=1,000\n  not done: 0,2" in capsys.readouterr().out


@pytest.mark.parametrize(("problem", "files"), [("fec_tiny", 2), ("faces-fec_base", 3), ("triplets-fec_tiny", 2)])
def test_the_files_of_another_problem_are_counted_apart(
    kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str], problem: str, files: int
) -> None:
    arguments = ("--split", "train", "--root", root, "--kubeconfig", kubeconfig, "--problem", problem)
    assert fec("status", "datagen", *arguments) == 0
    assert f"datagen train: 0 of {files} shards done" in capsys.readouterr().out


def test_a_job_is_deleted_and_then_there_is_none(
    server: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    assert fec("delete", "download", "--split", "train", "--kubeconfig", kubeconfig) == 0
    assert server.jobs == {}
    assert fec("delete", "download", "--split", "train", "--kubeconfig", kubeconfig) == 2
    assert "there is no Job 'fec-download-train' in namespace 'fec'" in capsys.readouterr().err


def test_a_second_job_of_the_same_name_is_one_line(kubeconfig: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 0
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "already exists; look at it with fec jobs status" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*LAUNCH, "--namespace", "nowhere"), ["no namespace 'nowhere'"]),
        ((*LAUNCH, "--context", "moon"), ["--context 'moon'", "here"]),
        ((*LAUNCH, "--cpu", "two"), ["--cpu 'two'"]),
        ((*LAUNCH, "--", "--attempt", "5"), ["after --", "--attempt"]),
        ((*LAUNCH, "--", "--attempts", "0"), ["after --", "--attempts 0", "at least 1"]),
        ((*LAUNCH, "--", "--archive", "http://a.example/"), ["after --", "--archive", "{url} in it"]),
        (("status", "download", "--split", "train"), ["no such Job", "--root"]),
        (("status", "download", "--split", "eval", "--root", "{root}"), ["plan has not finished for eval"]),
        (("status", "datagen", "--split", "train", "--root", "{root}", "--problem", "fec"), ["'fec'", "fec_tiny"]),
        (("launch", "plan"), ["plan", "download"]),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    kubeconfig: str, root: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: list[str]
) -> None:
    action, step, *rest = (word.replace("{root}", root) for word in arguments)
    assert fec(action, step, "--kubeconfig", kubeconfig, *rest) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert [word for word in words if word not in said] == []


def test_a_cluster_that_forbids_is_one_line(
    server: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.forbidden = True
    assert fec(*LAUNCH, "--kubeconfig", kubeconfig) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "403" in said


def test_a_cluster_where_nothing_listens_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        words = ["jobs", *LAUNCH, "--kubeconfig", KubeServer(url=url).kubeconfig(tmp_path)]
        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert f"the cluster at {url} cannot be reached" in done.stderr


@pytest.mark.parametrize("content", [None, "", "clusters: [", "just text", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    assert fec(*LAUNCH, "--kubeconfig", str(kubeconfig)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert str(kubeconfig) in said


def test_no_cluster_at_all_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    assert fec(*LAUNCH) == 2
    assert "no cluster" in capsys.readouterr().err


def test_a_cluster_that_does_not_speak_https_is_one_line(
    server: KubeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = Path(server.kubeconfig(tmp_path))
    kubeconfig.write_text(kubeconfig.read_text().replace("http://", "https://"))
    assert fec(*LAUNCH, "--kubeconfig", str(kubeconfig)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert "cannot be reached" in said


def pod(index: int, exit_code: int | None, job: str = "fec-download-train") -> dict[str, Any]:
    ended = {"state": {"terminated": {"exitCode": exit_code}}} if exit_code is not None else {"state": {"running": {}}}
    status = {"name": "download", "ready": False, "restartCount": 0, "image": "a", "imageID": "a"} | ended
    return {
        "metadata": {
            "name": f"{job}-{index}",
            "labels": {"job-name": job},
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
        },
        "status": {"phase": "Failed" if exit_code else "Running", "containerStatuses": [status]},
    }


@pytest.fixture
def with_pods(server: KubeServer) -> KubeServer:
    """A Job with pods at work, and one that failed; and a pod of another Job."""
    server.pods = [pod(2, None), pod(0, None), pod(1, 1), pod(0, 2, "other")]
    server.logs = {"fec-download-train-0": "a\nb\n", "fec-download-train-1": "one\ntwo\nno network\n"}
    return server


def test_logs_are_those_of_the_pods_that_failed(
    with_pods: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec("logs", "download", "--split", "train", "--tail", "2", "--kubeconfig", kubeconfig) == 0
    expected = "== index 1, pod fec-download-train-1: Failed, exit code 1\ntwo\nno network\n"
    assert capsys.readouterr().out == expected


def test_logs_of_one_index_are_shown_and_of_a_pod_that_is_gone_nothing(
    with_pods: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, said in (("0", "a\nb\n"), ("2", "\n")):
        assert fec("logs", "download", "--split", "train", "--index", index, "--kubeconfig", kubeconfig) == 0
        assert capsys.readouterr().out == f"== index {index}, pod fec-download-train-{index}: Running\n{said}"


def test_logs_of_a_job_without_pods_say_where_to_look(
    server: KubeServer, kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fec("logs", "faces", "--split", "eval", "--kubeconfig", kubeconfig) == 2
    assert "fec status ROOT --run fec-faces-eval" in capsys.readouterr().err
