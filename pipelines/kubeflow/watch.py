"""A run that is waited for, told from its root where that can be read: the engine's own states say little.

Seen on 2.17.0: its tasks freeze once their state is compressed, have no messages, and are called ``executor(0)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from components.summarize.judgement import SUCCEEDED, judged
from components.summarize.work import left_undone
from fec.errors import ConfigurationError, FecError, RunFailed
from fec.storage import Storage, open_storage
from fec.storage.roots import is_local
from fec.task_records import TaskRecord, last_attempts, read_records
from pipelines.status.run_status import RunStatus, run_status
from pipelines.status.text import brief

CANCELED: Final = ("CANCELED", "CANCELING")
NO_SUMMARY: Final = (
    "; no summary was written: the engine ended the run at once, as it does when a run's state is too large "
    "(max_groups) or a driver was lost"
)
ALL_BUT_THE_SUMMARY: Final = (
    "every task ended well and all that the run promises is there; only its summary was not written (was its image, "
    "the run's data_image, gone?), so the engine calls it failed. Look at what is there"
)


class RunEnded(RunFailed):
    """The run has ended and has not succeeded; ``mendable``: the same again may come further."""

    def __init__(self, message: str, *, mendable: bool) -> None:
        super().__init__(message)
        self.mendable = mendable


@dataclass
class Watch:
    """What can be seen of a run from here, by its ``root``.

    A root that we may not read is not tried again at each look: that can take seconds.
    """

    root: str
    _closed: bool = False

    def progress(self, run: Any) -> str:
        """How far the run is, in one line; of the engine's own no more than its state, since its counts go stale."""
        status = self._status(run)
        line = brief(status) if status is not None else ""
        return f"run {run.state}: {line}" if line else f"run {run.state}"

    def check_success(self, run: Any, url: str) -> None:
        """Raises RunEnded if the engine says SUCCEEDED of a run whose own summary does not."""
        status = self._status(run)
        if status is not None and status.ended not in ("", SUCCEEDED):
            raise RunEnded(f"the run {status.ended.lower()}: {'; '.join(status.why)}; {url}", mendable=True)

    def failure(self, run: Any, url: str) -> RunEnded:
        """Why a run that ended badly did, in one line."""
        workflow = workflow_of(run)
        if was_terminated(run):
            return RunEnded(f"the run was terminated; {self._more(workflow)}{url}", mendable=False)
        status, records = self._status(run), self._records(workflow)
        if self._storage() is None:
            said = "the run failed, and the engine gives no cause"
            return RunEnded(f"{said}; {self._more(workflow)}{url}", mendable=True)
        ended = status is not None and status.ended
        if not ended and self._all_is_there(records):
            return RunEnded(f"{ALL_BUT_THE_SUMMARY}: fec verify {self.root}; {url}", mendable=True)
        verdict = judged(str(run.state), _error(run), records, [])
        no_summary = "" if ended else NO_SUMMARY
        why = "; ".join(verdict.why)
        return RunEnded(f"the run failed: {why}{no_summary}; {self._more(workflow)}{url}", mendable=verdict.mendable)

    def _all_is_there(self, records: Sequence[TaskRecord]) -> bool:
        """Whether every task ended well and the root has all that a run promises."""
        storage = self._storage()
        if storage is None or not records or not all(record.succeeded for record in last_attempts(list(records))):
            return False
        try:
            return not left_undone(storage)
        except FecError:
            return False

    def _more(self, workflow: str) -> str:
        return f"more: fec status {self.root} --run {workflow}; " if self.root and workflow else ""

    def _storage(self) -> Storage | None:
        if not self.root or self._closed:
            return None
        try:
            return open_storage(self.root, read_only=True)
        except ConfigurationError:
            self._closed = not is_local(self.root)  # a folder may come with the first task
        except FecError:
            pass
        return None

    def _records(self, workflow: str) -> list[TaskRecord]:
        storage = self._storage()
        try:
            return read_records(storage, workflow) if storage is not None and workflow else []
        except FecError:
            return []

    def _status(self, run: Any) -> RunStatus | None:
        """What the root says of the run; None before its first task has said anything, and where it cannot be read."""
        workflow = workflow_of(run)
        storage = self._storage() if workflow else None
        if storage is None:
            return None
        try:
            return run_status(storage, workflow, datetime.now(UTC))
        except FecError:
            return None


def workflow_of(run: Any) -> str:
    """The engine's name of a run, which its pods begin with; "" before it has any."""
    for task in tasks_of(run):
        for child in task.child_tasks or ():
            if child.pod_name:
                return str(child.pod_name).rpartition("-")[0]
    return ""


def was_terminated(run: Any) -> bool:
    """Whether somebody asked for the end: the state in the end may be FAILED all the same."""
    history = [entry.state for entry in run.state_history or ()]
    return any(state in CANCELED for state in (*history, run.state))


def tasks_of(run: Any) -> Sequence[Any]:
    return (run.run_details and run.run_details.task_details) or ()


def _error(run: Any) -> str:
    return " ".join((run.error.message if run.error else "").split())
