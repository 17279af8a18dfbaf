"""The status of a run for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from components.summarize.work import SplitStatus
from fec.task_records import TaskRecord
from pipelines.status.run_status import RunStatus, StepStatus

_SHOWN: Final = 20
_HEAD: Final = ("", "done", "at work", "failed", "silent", "units", "a second", "time left", "pod hours")


def as_text(status: RunStatus, splits: Mapping[str, SplitStatus], now: datetime) -> str:
    """A table of steps, the tasks in trouble, the last sign of life, and how far each split is by its markers."""
    lines = [f"root {status.root}", ""]
    if not status.run:
        lines.append("no run of a cluster has written anything here; what is finished:")
    else:
        lines.append(f"run {status.run}: {_state(status)}")
        lines += [f"  {why}" for why in status.why]
        if told := tasks_told(status, now):
            lines += ["", *told]
        lines += ["", "finished below the root:"]
    for split, found in splits.items():
        lines.append(f"  {split}: " + ", ".join(f"{step} {what}" for step, what in found.finished.items()))
    return "\n".join(lines)


def tasks_told(status: RunStatus, now: datetime) -> list[str]:
    """What the tasks of a run say of themselves: a table of steps, those in trouble, and the last sign of life."""
    lines: list[str] = []
    if status.steps:
        lines += _table([_HEAD, *(_row(step) for step in status.steps)])
        lines.append(f"pod hours in all: {status.pod_hours:.2f}")
        lines += [f"  {hours:.2f} on {on}" for on, hours in sorted(status.pod_hours_on.items())]
    if status.troubled and not status.why:
        lines += ["", "in trouble:"]
        lines += [f"  {_trouble(record)}" for record in status.troubled[:_SHOWN]]
        if len(status.troubled) > _SHOWN:
            lines.append(f"  and {len(status.troubled) - _SHOWN} more")
    if status.last is not None and not status.ended:
        lines += ["", f"last sign of life: {_ago(status.last.silent(now))} ago, {_who(status.last)}"]
    return lines


def as_json(status: RunStatus, splits: Mapping[str, SplitStatus]) -> dict[str, Any]:
    """The same for a program."""
    return {
        "root": status.root,
        "run": status.run,
        "ended": status.ended,
        "why": list(status.why),
        "steps": [asdict(step) for step in status.steps],
        "in_trouble": [asdict(record) for record in status.troubled],
        "last": asdict(status.last) if status.last else None,
        "pod_hours": round(status.pod_hours, 3),
        "pod_hours_on": {on: round(hours, 3) for on, hours in status.pod_hours_on.items()},
        "splits": {split: asdict(found) for split, found in splits.items()},
    }


def brief(status: RunStatus) -> str:
    """One line: what is at work, and how long still."""
    busy = [step for step in status.steps if step.working] or list(status.steps[-1:])
    parts = []
    for step in busy:
        units = f", {step.units_done:,} of {step.units:,} {step.unit}" if step.units else ""
        left = f", {_duration(step.seconds_left)} left" if step.seconds_left is not None else ""
        parts.append(f"{step.name} {step.done} of {step.tasks} tasks done, {step.working} at work{units}{left}")
    failed = sum(step.failed + step.silent for step in status.steps)
    return "; ".join(parts) + (f"; {failed} tasks in trouble" if failed else "")


def _state(status: RunStatus) -> str:
    if status.ended:
        return status.ended
    return "at work" if any(step.working for step in status.steps) else "nobody is at work"


def _row(step: StepStatus) -> tuple[str, ...]:
    return (
        step.name,
        f"{step.done} of {step.tasks}",
        str(step.working),
        str(step.failed),
        str(step.silent),
        f"{step.units_done:,} of {step.units:,} {step.unit}" if step.units else "",
        f"{step.rate:.1f}" if step.rate else "",
        _duration(step.seconds_left) if step.seconds_left is not None else "",
        f"{step.pod_hours:.2f}",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]


def _trouble(record: TaskRecord) -> str:
    if record.failed:
        return f"{_who(record)}: exit code {record.exit_code}: {record.line or 'it said nothing'}"
    return f"{_who(record)}: not heard of since {record.seen}; {record.doing or 'it had said nothing'}"


def _who(record: TaskRecord) -> str:
    again = f", attempt {record.attempt}" if record.attempt > 1 else ""
    place = f" on {record.node}" if record.node else ""
    return f"{record.name}{again} (pod {record.pod}{place})"


def _ago(seconds: float) -> str:
    return _duration(max(0.0, seconds))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
