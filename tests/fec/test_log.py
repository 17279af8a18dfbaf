"""Where log lines go: JSON for programs, whoever says them; the level; a watcher's copy of events."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fec import log
from tests.screen import Terminal

SAYING = """
import logging, warnings
from fec.command import reported
from fec.progress import event, track
with reported():
    logging.getLogger("another").info("100 %d\\nlines", 5)
    logging.getLogger("another").debug("small talk")
    warnings.warn("old")
    event("note", "ours", number=3)
    with track("faces", 2, "faces") as faces:
        faces.advance(2)
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("another").exception("broken")
"""


def said_by(code: str, **environment: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_of_other_libraries_are_json_too() -> None:
    lines = said_by(SAYING)
    assert [line["severity"] for line in lines] == ["INFO", "WARNING", "INFO", "INFO", "ERROR"]
    assert all(set(line) >= {"time", "severity", "message"} for line in lines)
    assert lines[0] | {"time": ""} == {
        "time": "",
        "severity": "INFO",
        "logger": "another",
        "message": "100 5\nlines",
    }
    assert "UserWarning: old" in lines[1]["message"]
    assert lines[2] | {"time": ""} == {"time": "", "severity": "INFO", "event": "note", "message": "ours", "number": 3}
    assert "ZeroDivisionError" in lines[4]["stack_trace"]


def test_what_an_engine_set_up_before_does_not_say_it_again() -> None:
    engine = "import logging, sys; logging.basicConfig(stream=sys.stdout, level=logging.INFO)\n"
    done = subprocess.run([sys.executable, "-c", engine + SAYING], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 5


@pytest.mark.parametrize(("level", "count"), [("debug", 6), ("info", 5), ("warning", 2), ("ERROR", 1)])
def test_the_level_is_that_of_the_environment(level: str, count: int) -> None:
    assert len(said_by(SAYING, FEC_LOG_LEVEL=level)) == count


def test_another_word_than_a_level_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAYING], capture_output=True, text=True, env={**os.environ, log.LEVEL: "loud"}
    )
    assert done.returncode == 2
    assert json.loads(done.stderr)["message"] == "log level 'loud': expected one of debug, info, warning, error"


def test_the_level_is_an_option_of_a_step() -> None:
    command = [sys.executable, "-m", "components.plan", "--root", "r", "--split", "train", "--annotations", "none"]
    done = subprocess.run([*command, "--log-level", "loud"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice: 'loud'" in done.stderr
    done = subprocess.run([*command, "--log-level", "error"], capture_output=True, text=True)
    assert [json.loads(line)["severity"] for line in done.stderr.splitlines()] == ["ERROR"]


def test_a_watcher_gets_events_whatever_the_level(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.touch()
    assert len(said_by(SAYING, FEC_LOG_LEVEL="error", FEC_EVENTS=str(path))) == 1
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["event"] for event in events] == ["note", "progress"]
    assert (events[1]["task"], events[1]["done"]) == ("faces", 2)


def test_a_watcher_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    lines = said_by(SAYING, FEC_EVENTS=str(tmp_path / "gone"))
    assert [line["severity"] for line in lines] == ["WARNING", "INFO", "WARNING", "INFO", "INFO", "ERROR"]
    assert not (tmp_path / "gone").exists()


def test_a_person_reads_messages_and_not_json() -> None:
    terminal = Terminal()
    assert terminal.run([sys.executable, "-c", SAYING]) == 0
    assert terminal.lines[0] == "100 5?lines"
    assert "ours" in terminal.lines
    assert "error: broken" in terminal.lines
    assert not any("{" in line for line in terminal.lines)
