"""Faults and installations: what the user reads, what is written below the root, and what the next command does.

The engine is a stand-in that ends runs as the real one was seen to (tests/kfp_server/engine.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler

from fec import layout
from fec.done import Done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import SPLITS
from fec.storage import open_storage
from pipelines import cli
from pipelines.graph.options import CompileOptions
from pipelines.pipeline import pipeline
from tests.kfp_server.engine import PLAIN, STOCK, Engine, Fault
from tests.kfp_server.server import PipelinesServer, serving


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all pods share."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def package(shared: Path) -> str:
    path = str(shared / "fec_pipeline.yaml")
    options = CompileOptions(registry="ghcr.io/me", volume=(f"pvc:shared:{shared}",))
    compiler.Compiler().compile(pipeline_func=pipeline(options), package_path=path)
    return path


def finish(root: Path) -> None:
    """What a run that succeeds leaves: every marker, of one shard a split."""
    storage = open_storage(str(root))
    planned = {"images": 1, "faces": 1, "triplets": 1}
    for split in SPLITS:
        for directory, counts in (
            (layout.plan_dir(split), planned),
            (layout.images_dir(split, 0), {}),
            (layout.faces_dir(split, 0), {}),
            (layout.collect_dir(split), {"record_shards": 1}),
            (layout.record_done_dir(split, 0, 1), {}),
        ):
            write_done(storage, directory, Done("a", "f" * 64, "d" * 64, counts, {"num_shards": 1}))
    write_done(storage, layout.model_dir("tiny"), Done("train", "f" * 64, "d" * 64))


@dataclass(frozen=True)
class Row:
    """A fault on an installation: attempts the engine makes of the task, words the user reads, what two attempts do."""

    installation: str
    fault: Fault
    attempts: list[int]
    exit_code: int
    words: tuple[str, ...]
    summary: str
    mended: bool


OUTAGE = Fault(error=RunFailed("most images failed for transient causes"))
WRONG = Fault(error=ConfigurationError("train.csv: no FEC CSV"))
SAID_OUTAGE = ("download train 1/2", "ended with exit code 1: most images failed")
SAID_WRONG = ("download train 1/2", "exit code 2: train.csv: no FEC CSV")
SILENT = ("the engine says no more", "of download train 1/2 on pod fec-", "12 of 40 images")
NOTHING = ("no task has written anything", "was a pod not started")
AT_ONCE = ("no summary was written", "max_groups")
ONLY_THE_SUMMARY = ("every task ended well", "only its summary was not written", "fec verify")


def _both(name: str, *row: Any) -> dict[str, Row]:
    """The same on both installations."""
    return {f"{name}, stock": Row(STOCK, *row), f"{name}, plain": Row(PLAIN, *row)}


ROWS = {
    "exit 1, stock": Row(STOCK, OUTAGE, [1], 1, SAID_OUTAGE, "FAILED", True),
    "exit 1, plain": Row(PLAIN, OUTAGE, [4], 1, (*SAID_OUTAGE, "attempt 4"), "FAILED", True),
    "exit 2, stock": Row(STOCK, WRONG, [1], 1, SAID_WRONG, "FAILED", False),
    "exit 2, plain": Row(PLAIN, WRONG, [4], 1, SAID_WRONG, "FAILED", False),
    "killed, stock": Row(STOCK, Fault(killed=True), [1], 1, SILENT, "FAILED", True),
    "killed, plain": Row(PLAIN, Fault(killed=True), [4], 1, SILENT, "FAILED", True),
    "evicted, stock": Row(STOCK, Fault(evicted=True), [2], 0, (), "SUCCEEDED", True),
    "evicted, plain": Row(PLAIN, Fault(evicted=True), [2], 0, (), "SUCCEEDED", True),
    "driver lost, stock": Row(STOCK, Fault(driver_lost=True), [], 1, AT_ONCE, "", True),
    "driver lost, plain": Row(PLAIN, Fault(driver_lost=True), [], 1, ("the engine says no more",), "FAILED", True),
    **_both("terminated", Fault(terminated=True), [], 1, ("the run was terminated", "fec status"), "FAILED", False),
    **_both("not started", Fault(not_started=True), [], 1, NOTHING, "", True),
    **_both("too large", Fault(too_large=True), [], 1, AT_ONCE, "", True),
    **_both("unreachable for 20 minutes", Fault(unreachable=1200), [1], 0, (), "SUCCEEDED", True),
    **_both("summary's image gone", Fault(no_summary=True), [1], 1, ONLY_THE_SUMMARY, "", True),
}


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.fixture
def server(row: Row) -> Iterator[PipelinesServer]:
    with serving(engine=Engine(row.installation, [row.fault], finish)) as server:
        yield server
        assert server.violations == []


@pytest.fixture
def root(shared: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shared, re.sub("[^a-z0-9]+", "-", str(request.node.name)))


def submit(server: PipelinesServer, package: str, root: Path, *more: str) -> int | str | None:
    words = ("--endpoint", server.url, "-f", package, "--wait", "--poll-interval", "0.01", f"root={root}")
    csvs = ("train_csv=gs://bucket/train.csv", "eval_csv=gs://bucket/eval.csv")
    with pytest.raises(SystemExit) as ended:
        cli.main(["submit", *words, *csvs, *more])
    return ended.value.code


def test_what_the_user_reads_and_what_is_written(
    row: Row, server: PipelinesServer, package: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(server, package, root) == row.exit_code
    last = capsys.readouterr().err.splitlines()[-1]
    assert [word for word in row.words if word not in last] == []
    assert server.engine.attempts == row.attempts
    workflow = server.engine.workflow(server.runs[0]["run_id"])
    summary = root / layout.run_summary(workflow)
    assert (json.loads(summary.read_text())["state"] if summary.exists() else "") == row.summary
    assert bool(list(root.glob(f"runs/{workflow}/tasks/*/*.json"))) is not row.fault.not_started


def test_what_another_attempt_does(row: Row, server: PipelinesServer, package: str, root: Path) -> None:
    code = submit(server, package, root, "--attempts", "2")
    assert code == (0 if row.mended else 1)
    assert len(server.runs) == (2 if row.mended and row.exit_code else 1)


def test_fec_status_tells_the_same_later(
    row: Row, server: PipelinesServer, package: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(server, package, root)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", str(root)])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    if row.fault.not_started:
        assert "no run of a cluster has written anything here" in shown
        return
    assert f"run {server.engine.workflow(server.runs[0]['run_id'])}: {row.summary or 'nobody is at work'}" in shown
    if row.fault.unreachable:
        assert "pod hours in all: 0.33" in shown  # it was there all the while


def test_fec_status_finds_the_root_by_what_fec_submit_printed(
    package: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(engine=Engine(STOCK, [WRONG], finish)) as server:
        submit(server, package, shared / "by-url")
        url = capsys.readouterr().out.strip()
        for words in ([url], [url.rpartition("/")[2], "--endpoint", server.url]):
            with pytest.raises(SystemExit) as ended:
                cli.main(["status", *words])
            assert ended.value.code == 0
            assert "download train 1/2 ended with exit code 2: train.csv: no FEC CSV" in capsys.readouterr().out
        with pytest.raises(SystemExit) as ended:
            cli.main(["status", "01234567-89ab-cdef-0123-456789abcdef", "--endpoint", server.url])
        assert ended.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
