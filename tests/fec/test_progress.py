"""What long work says: JSON lines for programs, one line that moves for people."""

import json
import sys
from datetime import datetime
from itertools import pairwise

import pytest

from fec import progress
from fec.layout import SPLITS
from fec.progress import event, task_name, track
from tests.screen import Terminal

WORK = """
import time
from fec.progress import event, track
with track("download shard 3", 2000, "images") as progress:
    for number in range(2000):
        if number == 1000:
            time.sleep(0.5)  # some frames of the display, also on a busy machine
        progress.advance(outcome="gone" if number % 4 else "fetched")
event("note", "all there")
"""


def test_an_event_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    event("malformed_row", 'a "line"\nand more', severity="WARNING", line=3)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    said = json.loads(text)
    assert datetime.fromisoformat(said.pop("time")).tzinfo is not None
    assert said == {"severity": "WARNING", "event": "malformed_row", "message": 'a "line"\nand more', "line": 3}


def test_progress_is_said_now_and_then_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock) * 0.5 + progress.INTERVAL)
    with track("faces", 10, "faces") as faces:
        for _ in range(10):
            faces.advance(outcome="ok")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["done"] for line in said] == [1, 5, 9, 10]
    assert said[-1] | {"time": ""} == {
        "time": "",
        "severity": "INFO",
        "event": "progress",
        "message": "faces: 10 of 10 faces ok=10",
        "task": "faces",
        "done": 10,
        "total": 10,
        "unit": "faces",
        "counts": {"ok": 10},
    }


def test_nothing_is_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with track("faces", 2, "faces") as faces:
        faces.advance(2)
        faces.say()
    assert [json.loads(line)["done"] for line in capsys.readouterr().err.splitlines()] == [2]


def test_ten_hours_of_work_are_a_thousand_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with track("download", 36_000, "images") as download:
        for _ in range(36_000):
            now += 1
            download.advance()
    times = [json.loads(line)["done"] for line in capsys.readouterr().err.splitlines()]
    assert 500 < len(times) < 1100
    assert times[1] - times[0] == progress.INTERVAL
    assert max(later - earlier for earlier, later in pairwise(times)) <= progress.MAX_INTERVAL


def test_tasks_that_work_at_the_same_time_have_names_of_their_own() -> None:
    names = {
        task_name("faces", split, f"{index}/{count}")
        for split in SPLITS
        for count in (1, 2, 11)
        for index in range(count)
    }
    assert len(names) == 2 * (1 + 2 + 11)
    assert task_name("faces", "train", "0/1") == "faces train"
    assert task_name("faces", "train", "3/11") == "faces train 3/11"


def test_a_figure_is_shown_to_three_digits(capsys: pytest.CaptureFixture[str]) -> None:
    with track("train", 2, "steps") as steps:
        for loss in (0.41234, 0.31234):
            steps.note("loss", loss)
            steps.advance()
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["message"] == "train: 2 of 2 steps loss=0.312"


def test_progress_says_where_it_was_when_work_broke_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), track("faces", 10, "faces") as faces:
        faces.advance(3)
        raise RuntimeError
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["done"] == 3


def test_a_person_sees_one_line_that_moves() -> None:
    terminal = Terminal()
    assert terminal.run([sys.executable, "-c", WORK]) == 0
    moving = [line for lines in terminal.seen for line in lines if "━" in line]
    assert moving
    assert all(line.startswith("download shard 3 ") and " of 2,000 images" in line for line in moving)
    assert max(len(lines) for lines in terminal.seen) <= 2
    assert terminal.lines == ["download shard 3: 2,000 of 2,000 images fetched=500 gone=1500", "all there"]
    assert not terminal.cursor_hidden
