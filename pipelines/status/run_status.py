"""A run as its tasks' records show it: done, at work, left, how fast, how long still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from components.again import read_object
from fec import layout
from fec.errors import ConfigurationError
from fec.layout import Group
from fec.storage import Storage
from fec.task_records import SILENT, TaskRecord, last_attempts, read_record, read_records

HOUR: Final = 3600.0
# The order in which a run does them; others follow by name.
_ORDER: Final = ("plan", "download", "faces", "collect", "datagen", "train", "evaluate")
# What runs on the nodes for training.
TRAINING: Final = ("train", "t2t_train")


@dataclass(frozen=True)
class StepStatus:
    """One step of one split. Tasks: ``tasks`` in all, of which so many are done, at work, failed, and silent (killed).

    ``units_done`` of ``units`` (images, faces) are those of the tasks that have begun; ``rate`` is units a second of
    the tasks at work, ``seconds_left`` an estimate for all tasks, None where nothing is at work. ``pod_hours`` counts
    every attempt.
    """

    name: str
    tasks: int
    done: int
    working: int
    failed: int
    silent: int
    units_done: int
    units: int
    unit: str
    rate: float
    seconds_left: float | None
    pod_hours: float


@dataclass(frozen=True)
class RunStatus:
    """A run: its steps in order, tasks that did not end well, who was heard of last, and the summary if it ended.

    ``pod_hours_on``: by the nodes the tasks were sent to, as a node selector says it.
    """

    root: str
    run: str
    steps: tuple[StepStatus, ...]
    troubled: tuple[TaskRecord, ...]
    last: TaskRecord | None
    ended: str
    why: tuple[str, ...]
    pod_hours_on: Mapping[str, float]

    @property
    def pod_hours(self) -> float:
        return sum(step.pod_hours for step in self.steps)


def runs(storage: Storage) -> list[str]:
    """The names of the runs that have left anything below the root, the last one last.

    A run is placed by one of its tasks: runs of one root do not overlap, or it does not matter which is the last.
    """
    first: dict[str, str] = {}
    for entry in storage.list("runs"):
        name, _, rest = entry.path.removeprefix("runs/").partition("/")
        if rest and not first.get(name):
            first[name] = entry.path if rest.startswith("tasks/") else ""
    started = {name: _started(storage, path) for name, path in first.items()}
    return sorted(started, key=lambda name: (started[name], name))


def _started(storage: Storage, path: str) -> str:
    record = read_record(storage, path) if path else None
    return record.started if record else ""


def run_status(storage: Storage, run: str, now: datetime) -> RunStatus:
    """How far ``run`` ("": the last) is at the time ``now``; raises ConfigurationError where there is no such run."""
    known = runs(storage)
    if run and run not in known:
        raise ConfigurationError(f"run {run!r}: {storage.root} knows {', '.join(known) or 'no run of a cluster'}")
    run = run or (known[-1] if known else "")
    records = read_records(storage, run) if run else []
    last = last_attempts(records)
    summary = _summary(storage, run) if run else None
    return RunStatus(
        root=storage.root,
        run=run,
        steps=_steps(records, now),
        troubled=tuple(record for record in last if record.failed or _is_silent(record, now)),
        last=max(last, key=lambda record: record.seen, default=None),
        ended=str(summary["state"]) if summary else "",
        why=tuple(summary["why"]) if summary else (),
        pod_hours_on=_pod_hours_on(records, read_object(storage, layout.run_places(run)) if run else {}),
    )


def _pod_hours_on(records: Sequence[TaskRecord], places: Mapping[str, Any]) -> dict[str, float]:
    """Of every attempt, by the nodes that ``places`` (the run's form) sends its step to."""
    found: dict[str, float] = {}
    for record in records:
        of = "train" if record.step in TRAINING else "data"
        labels = places.get(f"{of}_node_selector") or {}
        on = ", ".join(f"{label}={value}" for label, value in sorted(labels.items())) or "any node"
        if of == "train" and places.get("accelerator_type"):
            on += f" ({places.get('accelerator_count')} {places['accelerator_type']} each)"
        found[on] = found.get(on, 0.0) + record.seconds / HOUR
    return found


def _steps(records: Sequence[TaskRecord], now: datetime) -> tuple[StepStatus, ...]:
    names = {(record.step, record.split) for record in records}
    splits = ("", *layout.SPLITS)

    def order(name: tuple[str, str]) -> tuple[Any, ...]:
        step, split = name
        after = step in ("train", "evaluate") or step not in _ORDER
        return after, splits.index(split) if split in splits else 0, _place(step), step

    return tuple(
        _step([record for record in records if (record.step, record.split) == name], now)
        for name in sorted(names, key=order)
    )


def _place(step: str) -> int:
    return _ORDER.index(step) if step in _ORDER else len(_ORDER)


def _step(records: list[TaskRecord], now: datetime) -> StepStatus:
    last = last_attempts(records)
    working = [record for record in last if not record.ended and not _is_silent(record, now)]
    tasks = max(_count(record.group) for record in last)
    rate = sum(_rate(record) for record in working)
    units = [record.total for record in last if record.total]
    begun_left = sum(max(0, record.total - record.done) for record in last if not record.succeeded)
    not_begun = (tasks - len(last)) * (sum(units) / len(units) if units else 0)
    return StepStatus(
        name=f"{records[0].step} {records[0].split}".rstrip(),
        tasks=tasks,
        done=sum(record.succeeded for record in last),
        working=len(working),
        failed=sum(record.failed for record in last),
        silent=sum(_is_silent(record, now) for record in last),
        units_done=sum(record.done for record in last),
        units=sum(units),
        unit=next((record.unit for record in last if record.unit), ""),
        rate=rate,
        seconds_left=(begun_left + not_begun) / rate if rate else None,
        pod_hours=sum(record.seconds for record in records) / HOUR,
    )


def _count(group: str) -> int:
    return Group.parse(group).count


def _is_silent(record: TaskRecord, now: datetime) -> bool:
    return not record.ended and record.silent(now) > SILENT


def _rate(record: TaskRecord) -> float:
    """Units a second since the task began; what an earlier attempt had done is not counted."""
    return max(0.0, record.done - record.counts.get("known", 0)) / record.seconds if record.seconds > 0 else 0.0


def _summary(storage: Storage, run: str) -> dict[str, Any] | None:
    found = read_object(storage, layout.run_summary(run))
    return found if {"state", "why"} <= found.keys() else None
