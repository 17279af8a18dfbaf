"""The real t2t-datagen and t2t-trainer: in this process, or in one of their own that is watched."""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError, FecError, RunFailed
from fec.progress import event
from pipelines.display import event_in
from pipelines.supervision import Stopped, supervised
from pipelines.t2t import compat

DATAGEN: Final = "datagen"
TRAINER: Final = "trainer"
PROGRAMS: Final = {DATAGEN: "tensor2tensor.bin.t2t_datagen", TRAINER: "tensor2tensor.bin.t2t_trainer"}
# Registers what is ours.
USR_DIR: Final = Path(__file__).parent / "usr_dir"

# Lines of a program that failed which are shown.
_SHOWN: Final = 40
_EXCEPTION: Final = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: .")


def become(name: str, flags: Sequence[str]) -> None:
    """Run the program in this process; raises ConfigurationError for another name or without Tensor2Tensor."""
    if name not in PROGRAMS:
        raise ConfigurationError(f"program {name!r}: expected one of {', '.join(PROGRAMS)}, then its flags")
    compat.mend()
    sys.argv = [f"t2t-{name}", f"--t2t_usr_dir={USR_DIR}", *flags]
    runpy.run_module(PROGRAMS[name], run_name="__main__", alter_sys=True)


def watch(
    name: str,
    flags: Sequence[str],
    environment: Mapping[str, str] | None = None,
    heard: Callable[[str], None] = lambda line: None,
) -> None:
    """Run the program in a process of its own to its end; ``heard`` gets each line it says.

    What our own code says in it is said here too. Raises ConfigurationError or RunFailed in its own words if it
    fails; whatever ends this ends it.
    """
    command = [sys.executable, "-m", "pipelines.t2t.watched", name, *flags]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    last: deque[str] = deque(maxlen=_SHOWN)
    errors: list[FecError] = []
    try:
        with supervised(command, {**os.environ, **quiet, **(environment or {})}) as process:
            for line in process.lines():
                found = event_in(line)
                if found is None:
                    last.append(line)
                elif found.get("event") == "error":
                    kind = ConfigurationError if found.get("exit_code") == ConfigurationError.exit_code else RunFailed
                    errors.append(kind(found["message"]))
                else:
                    print(line, file=sys.stderr, flush=True)
                heard(line)
            exit_code = process.wait()
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code) from None
    if errors:
        raise errors[-1]
    if exit_code:
        event("t2t_failed", f"the last lines of t2t-{name}:\n" + "\n".join(last), severity="ERROR")
        raise RunFailed(f"t2t-{name} {_how(exit_code)}: {_why(last)}")


def _how(exit_code: int) -> str:
    return f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"


def _why(lines: Sequence[str]) -> str:
    """The last exception among ``lines``, or else the last line."""
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    return (exceptions or [line for line in lines if line.strip()] or ["it said nothing"])[-1].strip()[:500]
