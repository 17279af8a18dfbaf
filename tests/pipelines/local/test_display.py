"""What is shown of a run while it works."""

import io

import pytest

from pipelines.local.display import Display
from pipelines.local.process import STEP_FAILED
from tests.screen import Terminal


class Tty(io.StringIO):
    """A stream that says it is a terminal, and the terminal."""

    def __init__(self, columns: int = 120) -> None:
        super().__init__()
        self.terminal = Terminal(columns)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.terminal.feed(text.replace("\n", "\r\n").encode())
        return len(text)


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "30")
    return Tty()


def progress(done: int, task: str = "download train 0/2", **more: object) -> dict[str, object]:
    message = f"{task}: {done} of 10 images"
    return {"event": "progress", "message": message, "task": task, "done": done, "total": 10, "unit": "images"} | more


def test_outside_a_terminal_a_task_says_plainly_how_it_starts_and_ends() -> None:
    stream = io.StringIO()
    display = Display(stream)
    for done in (3, 4, 5, 10, 10):
        display.show(progress(done))
    display.show({"event": "malformed_row", "message": "line 7 is malformed"})
    display.close()
    assert stream.getvalue().splitlines() == [
        "download train 0/2: 3 of 10 images",
        "download train 0/2: 10 of 10 images",
        "line 7 is malformed",
    ]


@pytest.mark.parametrize("name", ["error", "crashed", STEP_FAILED])
def test_an_error_is_left_for_the_end(name: str) -> None:
    stream = io.StringIO()
    Display(stream).show({"event": name, "message": "nothing survived"})
    assert stream.getvalue() == ""


def test_in_a_terminal_finished_tasks_stay_and_unfinished_ones_go(tty: Tty) -> None:
    display = Display(tty)
    display.show(progress(3, task="a", counts={"fetched": 2, "gone": 1}))
    display.show(progress(4, task="b"))
    display.show({"event": "note", "message": "all is well"})
    display.show(progress(10, task="b"))
    at_work = tty.terminal.lines
    display.close()
    assert at_work[:2] == ["all is well", "b: 10 of 10 images"]
    (line,) = at_work[2:]
    assert line.startswith("a ")
    assert line.endswith("3 of 10 images  fetched 2 gone 1")
    assert tty.terminal.lines == ["all is well", "b: 10 of 10 images"]
    assert not tty.terminal.cursor_hidden


def test_a_terminal_that_cannot_redraw_gets_plain_lines(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    Display(tty).show(progress(3))
    assert tty.terminal.lines == ["download train 0/2: 3 of 10 images"]
    assert b"\x1b" not in tty.terminal.raw


HOSTILE = "a\x1b[2Jb\r\nc [red]d[/red] :smile: \u202e \x9b2J"
SHOWN = "a?[2Jb??c [red]d[/red] :smile: ? ?2J"


def test_terminal_control_in_a_message_is_not_passed_on() -> None:
    stream = io.StringIO()
    Display(stream).show({"event": "note", "message": HOSTILE})
    assert stream.getvalue() == f"{SHOWN}\n"


def test_nor_is_it_or_markup_in_live_lines(tty: Tty) -> None:
    display = Display(tty)
    display.show({"event": "note", "message": HOSTILE})
    display.show(progress(3, task=HOSTILE, unit=HOSTILE[:9], counts={HOSTILE[:9]: 3}))
    said, moving = tty.terminal.lines
    display.close()
    assert said == SHOWN
    assert moving.startswith(SHOWN)
    assert "3 of 10 a?[2Jb??c" in moving
    assert b"\x1b[2J" not in tty.terminal.raw
