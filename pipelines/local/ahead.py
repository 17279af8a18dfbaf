"""Beside a run on this machine: a process that verifies faces while a download waits for its hosts.

The steps stay what they are in the pipeline's graph: the process only stores crops, and leaves its verdicts where the
faces step looks for them (``components/faces/early.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from components.faces.parameters import Parameters
from fec.cores import available_cores
from fec.layout import TRAIN
from fec.parameters import fields

AUTO: Final = "auto"
ON: Final = "on"
OFF: Final = "off"
MODES: Final = (AUTO, ON, OFF)
# Seconds that the process has to end by itself. It loses nothing when it is killed.
GRACE: Final = 2.0


def wanted(mode: str) -> bool:
    """Whether faces are verified ahead: with AUTO where there is a core for it beside the download's."""
    return mode == ON or (mode == AUTO and available_cores() > 1)


@contextmanager
def verifying_ahead(arguments: Mapping[str, Any]) -> Iterator[None]:
    """While the body lasts, faces of what its downloads store are verified; ``arguments`` are the pipeline's."""
    command = [sys.executable, "-m", "components.faces.beside", json.dumps(_faces(arguments))]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own interpreter and module
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        process.kill()
        process.wait()


def _faces(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the faces step is asked for, as the pipeline hands it on."""
    own = [field.name for field in fields(Parameters) if field.name in arguments]
    return {**arguments["options"].get("faces", {}), **{name: arguments[name] for name in own}, "split": TRAIN}
