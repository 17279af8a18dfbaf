"""What a person sees of long work in a terminal: a line that moves for each task, and what is said above them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from fec.log_records import event_of, fields_of

_FRAMES_A_SECOND: Final = 8
_BAR: Final = 20


def printable(text: str) -> str:
    """``text`` on one line and without terminal control: parts of it come from the network."""
    return "".join(c if c.isprintable() else "?" for c in text)


class Screen:
    """A live display on ``stream``, from the first progress of a task until ``close``."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, markup=False, emoji=False, highlight=False)
        self._progress = Progress(
            _Cell(_name, no_wrap=True),
            BarColumn(bar_width=_BAR),
            _Cell(_standing, no_wrap=True),
            _Cell(_pace, no_wrap=True),
            _Cell(_counts, no_wrap=True, overflow="ellipsis", ratio=1),
            console=self._console,
            transient=True,
            expand=True,
            refresh_per_second=_FRAMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}

    def advance(self, progress: Mapping[str, Any]) -> None:
        """Move the line of the task that ``progress`` (the fields of such an event) is about; it goes at its end."""
        name, done, total = str(progress.get("task")), int(progress.get("done", 0)), int(progress.get("total", 0))
        about: dict[str, Any] = {"unit": str(progress.get("unit", "")), "counts": dict(progress.get("counts") or {})}
        if done >= total:
            if name in self._tasks:
                self._progress.remove_task(self._tasks.pop(name))
            (self._progress.refresh if self._tasks else self._progress.stop)()
        elif name in self._tasks:
            self._progress.update(self._tasks[name], completed=done, total=total, **about)
        else:
            self._tasks[name] = self._progress.add_task(name, completed=done, total=total, **about)
            self._progress.start()

    def say(self, text: str) -> None:
        """Leave a line above those that move."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def close(self) -> None:
        """Take the lines that move away."""
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()
        self._progress.stop()


class TerminalHandler(logging.Handler):
    """Shows on a screen what is logged."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._screen = Screen(stream)

    def emit(self, record: logging.LogRecord) -> None:
        event = event_of(record)
        if event == "progress":
            self._screen.advance(fields_of(record))
            if fields_of(record)["done"] < fields_of(record)["total"]:
                return
        elif event == "error":
            self._screen.close()
        self._screen.say(f"{'' if event not in (None, 'error') else _kind(record)}{record.getMessage()}")

    def close(self) -> None:
        self._screen.close()
        super().close()


def _kind(record: logging.LogRecord) -> str:
    return "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "


class _Cell(ProgressColumn):
    """A column whose text ``of`` a task is plain, never markup."""

    max_refresh = 0.5

    def __init__(self, of: Callable[[Task], str], **column: Any) -> None:
        super().__init__(table_column=Column(**column))
        self._of = of

    def render(self, task: Task) -> Text:
        return Text(printable(self._of(task)))


def _name(task: Task) -> str:
    return task.description


def _standing(task: Task) -> str:
    return f"{task.completed:,.0f} of {task.total or 0:,.0f} {task.fields['unit']}"


def _pace(task: Task) -> str:
    """The rate, and the time left at it."""
    if not task.speed:
        return ""
    seconds = int(task.time_remaining or 0)
    hours, minutes = divmod(seconds // 60, 60)
    left = f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{task.speed:,.{0 if task.speed >= 10 else 1}f}/s {left} left"


def _counts(task: Task) -> str:
    return " ".join(f"{name} {number:,}" for name, number in sorted(task.fields["counts"].items()))
