"""How the real engine ends runs, as it was seen to: on a stock installation, and on one without templateDefaults.

It keeps no cause. What a user can be told is what the tasks have written below the root, which is why a fault here is
played by the code that a real task runs: the record of a task, and the exit handler's step.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from components.summarize.step import Parameters
from components.summarize.step import run as summarize
from fec import layout
from fec.task_records import recorded

STOCK, PLAIN = "stock", "without templateDefaults"
RETRIES: Final = 3
# The steps of a run here; enough to have something before and after a fault.
TASKS: Final = (("plan", "train", "0/1"), ("download", "train", "0/2"), ("download", "train", "1/2"))


@dataclass(frozen=True)
class Fault:
    """What happens to the last task of a run.

    ``error``: it ends with this. ``killed``: its container ends by SIGKILL, without a word. ``evicted``: its pod is
    deleted. ``driver_lost``: so is that of its driver. ``terminated``, ``too_large``: the run is. ``not_started``: the
    first driver fails, of a value that Kubernetes refuses say. ``unreachable``: its hosts do not answer for so many
    seconds, which it waits for. ``no_summary``: the exit handler's image cannot be pulled, until its time-out.
    """

    error: Exception | None = None
    killed: bool = False
    evicted: bool = False
    driver_lost: bool = False
    terminated: bool = False
    too_large: bool = False
    not_started: bool = False
    unreachable: int = 0
    no_summary: bool = False


@dataclass
class Engine:
    """Plays runs: ``finish`` makes what a success leaves below the root; ``faults`` are those of the next runs."""

    installation: str = STOCK
    faults: list[Fault] = field(default_factory=list)
    finish: Callable[[Path], None] = lambda root: None
    ends: str = "SUCCEEDED"
    attempts: list[int] = field(default_factory=list)

    def play(self, run: dict[str, Any]) -> Sequence[str]:
        """Run the rest of a run; the states it goes through."""
        root = str(run.get("runtime_config", {}).get("parameters", {}).get("root", ""))
        if "://" in root or not root:
            return (self.ends,)
        fault = self.faults.pop(0) if self.faults else Fault()
        workflow = self.workflow(run["run_id"])
        if fault.not_started:
            Path(root).mkdir(exist_ok=True)
            return ("FAILED",)
        for task in TASKS[:-1]:
            _work(root, workflow, task, None)
        good = self._last(root, workflow, fault)
        if good:
            self.finish(Path(root))
        if fault.no_summary:
            return ("FAILED",)
        if not fault.too_large and not (fault.driver_lost and self.installation == STOCK):
            word = "COMPLETE" if good else "FAILED" if fault.error else "RUNNING"
            summarize(Parameters(root=root, run=workflow, state=word))
        if fault.terminated:
            return ("CANCELING", "FAILED")
        return ("SUCCEEDED" if good else "FAILED",)

    def tasks(self, run_id: str) -> list[dict[str, Any]]:
        """What the API shows of a run's tasks: the names of nodes, states that may be old, and no message."""
        pod = f"{self.workflow(run_id)}-2196868751"
        names = (("root", "RUNNING"), ("executor(0)", "RUNNING"), ("plan-driver", "SUCCEEDED"))
        return [
            {
                "run_id": run_id,
                "task_id": str(uuid.uuid4()),
                "display_name": name,
                "state": state,
                "child_tasks": [{"pod_name": pod}],
            }
            for name, state in names
        ]

    def workflow(self, run_id: str) -> str:
        return f"fec-{run_id[:5]}"

    def _last(self, root: str, workflow: str, fault: Fault) -> bool:
        """Run the last task, as often as the engine would; whether it ended well."""
        if fault.driver_lost or fault.too_large:
            return False
        if fault.terminated:
            _killed(root, workflow, TASKS[-1])
            return False
        if fault.evicted:  # a pod that was deleted is an Error, which both installations try again
            _killed(root, workflow, TASKS[-1])
            self.attempts.append(2)
            return _work(root, workflow, TASKS[-1], None)
        if fault.unreachable:
            self.attempts.append(1)
            return _waited(root, workflow, TASKS[-1], fault.unreachable)
        # An exit code is a Failure: only an installation without templateDefaults' OnError tries it again.
        attempts = 1 if self.installation == STOCK or not (fault.error or fault.killed) else 1 + RETRIES
        self.attempts.append(attempts)
        for _ in range(attempts):
            if fault.killed:
                _killed(root, workflow, TASKS[-1])
            elif _work(root, workflow, TASKS[-1], fault.error):
                return True
        return False


def _work(root: str, workflow: str, task: tuple[str, str, str], error: Exception | None) -> bool:
    """A task as its component runs it; whether it ended well."""
    with contextlib.suppress(Exception), recorded(root, *task, {"KFP_POD_NAME": f"{workflow}-system-container-impl-7"}):
        if error is not None:
            raise error
        return True
    return False


def _waited(root: str, workflow: str, task: tuple[str, str, str], seconds: int) -> bool:
    """A task whose hosts did not answer for so long: it went on by itself, and its record says when it began."""
    good = _work(root, workflow, task, None)
    record = max(Path(root, layout.task_dir(workflow, *task)).glob("*.json"), key=lambda path: int(path.stem))
    told = json.loads(record.read_text())
    began = datetime.fromisoformat(told["started"]) - timedelta(seconds=seconds)
    doing = f"answers again after {seconds} s: going on"
    record.write_text(json.dumps(told | {"started": began.isoformat(), "doing": doing}))
    return good


def _killed(root: str, workflow: str, task: tuple[str, str, str]) -> None:
    """A task that was killed at work: its record says what it was doing, and no end."""
    _work(root, workflow, task, None)
    last = max(Path(root, layout.task_dir(workflow, *task)).glob("*.json"), key=lambda path: int(path.stem))
    unended = {"ended": "", "exit_code": None, "doing": "download train 1/2: 12 of 40 images", "done": 12, "total": 40}
    last.write_text(json.dumps(json.loads(last.read_text()) | unended))
