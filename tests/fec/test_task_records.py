"""A task on a cluster leaves below the root what it does and how it ends, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fec import task_records
from fec.errors import ConfigurationError, RunFailed
from fec.progress import track
from fec.storage import open_storage
from fec.task_records import TaskRecord, last_attempts, read_records, recorded, run_name

POD = {"KFP_POD_NAME": "fec-x7k2p-retry-system-container-impl-1748834929", "FEC_NODE": "gke-data-1"}


def records(root: Path) -> list[TaskRecord]:
    return read_records(open_storage(str(root)), "fec-x7k2p")


@pytest.mark.parametrize(
    ("environment", "run"),
    [
        ({"KFP_POD_NAME": "fec-x7k2p-retry-system-container-impl-1748834929"}, "fec-x7k2p"),
        ({"KFP_POD_NAME": "fec-x7k2p-system-container-impl-12"}, "fec-x7k2p"),
        ({"KFP_POD_NAME": "fec-x7k2p-1748834929"}, "fec-x7k2p"),
        ({"KFP_POD_NAME": "whatever", "ARGO_NODE_ID": "my-fec-run-abc12-99"}, "my-fec-run-abc12"),
        ({"FEC_RUN": "fec-download-train", "HOSTNAME": "fec-download-train-7-xyz"}, "fec-download-train"),
        ({"HOSTNAME": "laptop"}, ""),
        ({}, ""),
    ],
)
def test_the_run_is_named_as_the_engine_names_it(environment: dict[str, str], run: str) -> None:
    assert run_name(environment) == run


def test_a_task_says_who_it_is_and_how_far_it_came(tmp_path: Path) -> None:
    with recorded(str(tmp_path), "download", "train", "6/10", POD):
        (working,) = records(tmp_path)
        with track("download train 6/10", 7, "images") as progress:
            progress.advance(5, "fetched")
    (found,) = records(tmp_path)
    assert (working.name, working.attempt, working.ended, working.exit_code) == ("download train 6/10", 1, "", None)
    assert (found.pod, found.node) == (POD["KFP_POD_NAME"], "gke-data-1")
    assert (found.done, found.total, found.unit, found.counts) == (5, 7, "images", {"fetched": 5})
    assert found.doing == "download train 6/10: 5 of 7 images fetched=5"
    assert found.succeeded and found.ended and found.line == ""


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (RunFailed("most images failed\n of one host"), 1, "most images failed of one host"),
        (ConfigurationError("no such file"), 2, "no such file"),
        (ZeroDivisionError("oh"), 1, "ZeroDivisionError: oh"),
        (SystemExit(3), 3, ""),
    ],
)
def test_a_task_that_fails_says_why(tmp_path: Path, error: BaseException, exit_code: int, line: str) -> None:
    with pytest.raises(type(error)), recorded(str(tmp_path), "plan", "eval", "", POD):
        raise error
    (found,) = records(tmp_path)
    assert (found.name, found.exit_code, found.line, found.failed) == ("plan eval", exit_code, line, True)


def test_another_attempt_has_a_file_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(RunFailed), recorded(str(tmp_path), "faces", "train", "0/2", POD):
        raise RunFailed("once")
    with recorded(str(tmp_path), "faces", "train", "0/2", POD):
        pass
    with recorded(str(tmp_path), "faces", "train", "1/2", POD):
        pass
    found = records(tmp_path)
    assert [(record.name, record.attempt) for record in found] == [
        ("faces train 0/2", 1),
        ("faces train 0/2", 2),
        ("faces train 1/2", 1),
    ]
    assert [record.succeeded for record in last_attempts(found)] == [True, True]


def test_where_no_engine_runs_it_nothing_is_written(tmp_path: Path) -> None:
    with recorded(str(tmp_path), "plan", "train", "", {"HOSTNAME": "laptop"}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_takes_no_record_does_not_end_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").write_text("no folder")
    with recorded(str(tmp_path), "plan", "train", "", POD):
        pass
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in said] == ["record_lost"]


WORK = """
import sys, time
from fec import task_records
from fec.command import reported
from fec.progress import event
task_records.BEAT = 0.05
with reported(), task_records.recorded(sys.argv[1], "faces", "train", "3/4"):
    event("progress", "12 of 40 faces", done=12, total=40, unit="faces", counts={})
    time.sleep(60)
"""


def started(root: Path) -> subprocess.Popen[str]:
    """A task in a process of its own that has said how far it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(root)], env=os.environ | POD, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any(record.doing for record in (records(root) if root.exists() else [])):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


def test_a_killed_task_has_said_what_it_was_doing(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.kill()
    process.communicate()
    (found,) = records(tmp_path)
    assert (found.ended, found.exit_code, found.doing, found.done) == ("", None, "12 of 40 faces", 12)
    assert found.silent(datetime.fromisoformat(found.seen) + timedelta(seconds=90)) == 90


def test_a_task_that_is_told_to_stop_says_so_and_ends_at_once_with_the_code_that_is_tried_again(tmp_path: Path) -> None:
    process = started(tmp_path)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - asked < 20
    assert process.returncode == 1
    assert json.loads(said.splitlines()[-1])["message"].startswith("told to stop")
    (found,) = records(tmp_path)
    assert (found.exit_code, found.line.split(";")[0], found.doing) == (1, "told to stop", "12 of 40 faces")


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    with recorded(str(tmp_path), "plan", "train", "", POD):
        pass
    (tmp_path / "runs/fec-x7k2p/tasks/plan-train/2.json").write_text('{"step": "plan"')
    (tmp_path / "runs/fec-x7k2p/tasks/plan-train/3.json").write_text('{"other": 1}')
    assert [record.attempt for record in records(tmp_path)] == [1]
    assert records(tmp_path)[0].silent(datetime.now(UTC)) < task_records.SILENT
