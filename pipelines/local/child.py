"""A process that does one thing and says what went wrong in its own words."""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from fec.errors import FecError, RunFailed
from fec.progress import event
from pipelines.local.channel import Channel, Event, Lines, error_of
from pipelines.local.supervision import supervised

# Lines of a process that failed which are shown.
_SHOWN: Final = 40
_EXCEPTION: Final = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: .")


def run_child(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    printed: Callable[[str], None],
    shown: Callable[[Event], None],
) -> None:
    """Run ``command`` to its end; ``printed`` gets each line it prints, ``shown`` each event but its error.

    Raises ConfigurationError or RunFailed in its own words if it fails, Stopped if a signal asks for the end.
    Whatever ends this ends it and all it started.
    """
    last: deque[str] = deque(maxlen=_SHOWN)
    errors: list[FecError] = []
    with tempfile.TemporaryDirectory(prefix="fec-") as folder:
        path = Path(folder, "output")
        with (
            path.open("wb") as output,
            closing(Lines(path)) as lines,
            closing(Channel(Path(folder, "events"))) as channel,
            supervised(command, {**environment, **channel.environment}, output) as process,
        ):
            for _ in process.looks():
                for found in channel.new():
                    if (error := error_of(found)) is not None:
                        errors.append(error)
                    else:
                        shown(found)
                for line in lines.new():
                    last.append(line)
                    printed(line)
            exit_code = process.wait()
    if errors:
        raise errors[-1]
    if exit_code:
        event("failed", f"the last lines of {name}:\n" + "\n".join(last), severity="ERROR")
        raise RunFailed(f"{name} {_how(exit_code)}: {_why(last)}")


def _how(exit_code: int) -> str:
    return f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"


def _why(lines: Sequence[str]) -> str:
    """The last exception among ``lines``, or else the last line."""
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    return (exceptions or [line for line in lines if line.strip()] or ["it said nothing"])[-1].strip()[:500]
