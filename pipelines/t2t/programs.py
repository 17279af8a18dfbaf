"""The real t2t-datagen and t2t-trainer: in this process, or in one of their own that is watched."""

from __future__ import annotations

import logging
import os
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError
from fec.progress import repeat
from pipelines.local.child import run_child
from pipelines.local.supervision import Stopped
from pipelines.t2t import compat

DATAGEN: Final = "datagen"
TRAINER: Final = "trainer"
PROGRAMS: Final = {DATAGEN: "tensor2tensor.bin.t2t_datagen", TRAINER: "tensor2tensor.bin.t2t_trainer"}
# Registers what is ours.
USR_DIR: Final = Path(__file__).parent / "usr_dir"


def become(name: str, flags: Sequence[str]) -> None:
    """Run the program in this process; raises ConfigurationError for another name or without Tensor2Tensor."""
    if name not in PROGRAMS:
        raise ConfigurationError(f"program {name!r}: expected one of {', '.join(PROGRAMS)}, then its flags")
    _keep_the_log_of_tensorflow()
    compat.mend()
    sys.argv = [f"t2t-{name}", f"--t2t_usr_dir={USR_DIR}", *flags]
    runpy.run_module(PROGRAMS[name], run_name="__main__", alter_sys=True)


def _keep_the_log_of_tensorflow() -> None:
    """Have TensorFlow's lines look as they do without our log: losses and evaluations are read from them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    logger.propagate = False


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

    try:
        run_child(f"t2t-{name}", command, {**os.environ, **quiet, **(environment or {})}, heard, repeat)
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code) from None
