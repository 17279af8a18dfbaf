"""What is shown of a run while it works."""

import io
import json

import pytest

from pipelines.local.display import Display, event_in, failed_task_in


def progress(done: int, task: str = "download train 0/2", **more: object) -> dict[str, object]:
    message = f"{task}: {done} of 10 images"
    return {"event": "progress", "message": message, "task": task, "done": done, "total": 10, "unit": "images"} | more


def as_logged(event: dict[str, object]) -> str:
    return json.dumps({"time": "2026-01-01T00:00:00.000+00:00", "severity": "INFO"} | event)


@pytest.mark.parametrize("around", ["{}", "        {}", "12:00:01.123 - INFO - {} and so on"])
def test_an_event_is_found_within_a_line_of_the_executor(around: str) -> None:
    event = event_in(around.replace("{}", as_logged(progress(3))))
    assert event is not None
    assert (event["task"], event["done"]) == ("download train 0/2", 3)


@pytest.mark.parametrize(
    "line", ["", "plain", '{"time": broken, "event": 1}', '["a"]', '{"time": "now", "event": "progress"}', "{" * 5000]
)
def test_other_lines_hold_no_event(line: str) -> None:
    assert event_in(line) is None


def test_a_failed_task_is_named() -> None:
    line = "12:00:01.123 - ERROR - Task \x1b[96m'for-loop-1'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m"
    assert failed_task_in(line) == "for-loop-1"
    assert failed_task_in(line.replace("FAILURE", "SUCCESS")) is None


def test_outside_a_terminal_a_task_says_plainly_how_it_starts_and_ends() -> None:
    stream = io.StringIO()
    display = Display(stream, live=False)
    for done in (3, 4, 5, 10, 10):
        display.show(progress(done))
    display.show({"event": "malformed_row", "message": "line 7 is malformed"})
    display.close()
    assert stream.getvalue().splitlines() == [
        "download train 0/2: 3 of 10 images",
        "download train 0/2: 10 of 10 images",
        "line 7 is malformed",
    ]


def test_an_error_is_left_for_the_end() -> None:
    stream = io.StringIO()
    Display(stream, live=False).show({"event": "error", "message": "nothing survived"})
    assert stream.getvalue() == ""


def test_in_a_terminal_finished_tasks_stay_and_unfinished_ones_go() -> None:
    stream = io.StringIO()
    display = Display(stream, live=True)
    display.show(progress(3, task="a", counts={"fetched": 3}))
    display.show(progress(10, task="b"))
    display.close()
    shown = stream.getvalue().rpartition("\x1b[J")[0]
    assert "a " in shown and "3 of 10 images  fetched 3" in shown
    assert stream.getvalue().endswith("\x1b[1A\x1b[J")


def test_terminal_control_in_a_message_is_not_passed_on() -> None:
    stream = io.StringIO()
    Display(stream, live=False).show({"event": "note", "message": "a\x1b[2Jb\r\nc"})
    assert stream.getvalue() == "a?[2Jb??c\n"
