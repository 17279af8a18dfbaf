"""One run of the pipeline on this machine: the process that ``fec run`` starts and watches.

``python -m pipelines.local.process FOLDER`` reads FOLDER/arguments.json, runs the pipeline with kfp.local and puts
what it gave into FOLDER/outputs.json. Its standard input is a lifeline: when it ends, the starter is dead, and so is
everything here a moment later.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

ARGUMENTS = "arguments.json"
OUTPUTS = "outputs.json"

# The event that says which step failed, by what kfp.local raises: also a step that was killed and could say nothing.
STEP_FAILED: Final = "step_failed"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_FAILED: Final = re.compile(r"Inner task failed: '([\w-]+)'")


@contextmanager
def lifeline() -> Iterator[None]:
    """Kill this whole process group as soon as standard input ends.

    A process of its own keeps the watch: it outlives whatever happens to this one, and needs no thread of it.
    """
    watcher = os.fork()
    if watcher == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # or whoever reads our output would wait for the watcher
        os.dup2(nowhere, 2)
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        yield
    finally:
        os.kill(watcher, signal.SIGKILL)
        os.waitpid(watcher, 0)


def run(folder: Path) -> int:
    """Run the pipeline with the arguments in ``folder``; 0, or 1 if a task failed."""
    from kfp import local

    from fec.progress import event
    from pipelines.graph.options import LOCAL
    from pipelines.local import containers
    from pipelines.local.ahead import verifying_ahead
    from pipelines.pipeline import pipeline

    _keep_arguments_whole()
    asked = json.loads((folder / ARGUMENTS).read_text())
    defined = pipeline(LOCAL, asked["until"])
    runner: Any = local.SubprocessRunner(use_venv=False)
    if found := containers.Containers.load(folder):
        containers.use_images(defined, found)
        runner = containers.runner(found, folder)
    local.init(runner, pipeline_root=str(folder / "pipeline"))
    ahead = verifying_ahead(asked["arguments"]) if asked["ahead"] else nullcontext()
    try:
        with ahead:
            outputs = defined(**asked["arguments"]).outputs
    except RuntimeError as error:
        event(STEP_FAILED, failure_in(str(error)), severity="ERROR")
        return 1
    (folder / OUTPUTS).write_text(json.dumps(outputs))
    return 0


def failure_in(raised: str) -> str:
    """What failed, by the words of kfp.local's exception: it has no other place for the name."""
    plain = _COLOUR.sub("", raised)
    found = _FAILED.search(plain)
    return f"step {found[1]} failed" if found else plain


def _keep_arguments_whole() -> None:
    """Have tasks find this interpreter as ``python3``.

    kfp.local replaces the text python3 by sys.executable everywhere in a task's command line, a root such as
    /data/python3/fec included; with the two the same, nothing is replaced.
    """
    folder = Path(sys.executable).parent
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if (folder / "python3").exists():
        sys.executable = "python3"


if __name__ == "__main__":
    with lifeline():
        status = run(Path(sys.argv[1]))
    sys.exit(status)
