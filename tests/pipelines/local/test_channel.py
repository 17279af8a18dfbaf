"""The channel by which steps tell their watcher how far they are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fec.errors import ConfigurationError, RunFailed
from pipelines.local.channel import Channel, error_of

SAYING = "from fec.progress import event\nfor number in range({count}): event('note', '{name}' * 3000, number=number)"


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    with closing(Channel(tmp_path / "events")) as opened:
        yield opened


def append(tmp_path: Path, text: str) -> None:
    with (tmp_path / "events").open("a") as file:
        file.write(text)


def test_what_processes_say_at_the_same_time_arrives_whole(channel: Channel) -> None:
    environment = {**os.environ, **channel.environment}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SAYING.format(count=200, name=name)], env=environment, stderr=subprocess.DEVNULL
        )
        for name in "ab"
    ]
    assert [process.wait() for process in started] == [0, 0]
    events = list(channel.new())
    for name in "ab":
        assert [event["number"] for event in events if event["message"] == name * 3000] == list(range(200))
    assert len(events) == 400
    assert list(channel.new()) == []


def test_half_a_line_is_waited_for(channel: Channel, tmp_path: Path) -> None:
    text = json.dumps({"event": "note", "message": "ä"}, ensure_ascii=False) + "\n"
    append(tmp_path, text[:20])
    assert list(channel.new()) == []
    append(tmp_path, text[20:])
    assert [event["message"] for event in channel.new()] == ["ä"]


@pytest.mark.parametrize("line", ["", "plain", '["a"]', '{"event": "progress"}', "{" * 500, '{"message": 3}'])
def test_other_lines_are_no_events(channel: Channel, tmp_path: Path, line: str) -> None:
    append(tmp_path, f"{line}\n")
    assert list(channel.new()) == []


def test_what_lies_there_is_not_followed_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "events").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        Channel(tmp_path / "events")
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_step_s_error_is_of_its_kind() -> None:
    wrong = error_of({"event": "error", "message": "no such file", "exit_code": 2})
    assert isinstance(wrong, ConfigurationError)
    failed = error_of({"event": "error", "message": "outage", "exit_code": 1})
    assert isinstance(failed, RunFailed) and str(failed) == "outage"
    assert error_of({"event": "note", "message": "well"}) is None
