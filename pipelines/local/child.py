"""A process that does one thing and says what went wrong in its own words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fec.errors import ConfigurationError, FecError, RunFailed
from fec.progress import event
from pipelines.local.display import event_in
from pipelines.local.supervision import supervised

# Lines of a process that failed which are shown.
_SHOWN: Final = 40
_EXCEPTION: Final = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: .")


def run_child(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    heard: Callable[[str, Mapping[str, Any] | None], None],
) -> None:
    """Run ``command`` to its end; ``heard`` gets each line it prints, and the event of fec.progress that it holds.

    Raises ConfigurationError or RunFailed in its own words if it fails, Stopped if a signal asks for the end.
    Whatever ends this ends it and all it started.
    """
    last: deque[str] = deque(maxlen=_SHOWN)
    errors: list[FecError] = []
    with supervised(command, environment) as process:
        for line in process.lines():
            found = event_in(line)
            if found is None:
                last.append(line)
            elif found.get("event") == "error":
                kind = ConfigurationError if found.get("exit_code") == ConfigurationError.exit_code else RunFailed
                errors.append(kind(found["message"]))
            heard(line, found)
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
