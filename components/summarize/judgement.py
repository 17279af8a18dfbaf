"""How a run ended, told from what its tasks said of themselves: the engine's own word is often RUNNING, and no cause.

Seen on Kubeflow Pipelines 2.17: COMPLETE for a success, FAILED where a task ended with an error, and RUNNING where a
container was killed, where no retry came, and after the run was terminated; its error was empty each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError
from fec.task_records import TaskRecord, last_attempts

SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
CANCELLED: Final = "CANCELLED"
_GOOD: Final = ("COMPLETE", "SUCCEEDED")
_CANCELLED: Final = ("CANCELED", "CANCELLED", "CANCELING")
# What a task says that SIGTERM ended.
_STOPPED: Final = "told to stop"
_SHOWN: Final = 10


@dataclass(frozen=True)
class Verdict:
    """``state`` is SUCCEEDED, FAILED or CANCELLED; ``why``, a line a reason, is empty for a success.

    ``mendable``: whether the same run again, on the same root, may come further.
    """

    state: str
    why: tuple[str, ...]
    mendable: bool


def judged(engine_state: str, engine_error: str, records: Sequence[TaskRecord], left: Sequence[str]) -> Verdict:
    """How a run ended of which the engine says ``engine_state``; ``left`` is what it promised and is not there."""
    last = last_attempts(list(records))
    failed = [record for record in last if record.failed]
    hopeless = any(record.exit_code == ConfigurationError.exit_code for record in failed)
    if engine_state in _GOOD:
        if not left:
            return Verdict(SUCCEEDED, (), False)
        return Verdict(FAILED, (f"the engine says {engine_state}, but there is no finished {', '.join(left)}",), True)
    why = [_failure(record) for record in failed[:_SHOWN]]
    if len(failed) > _SHOWN:
        why.append(f"and {len(failed) - _SHOWN} more")
    if engine_error:
        why.append(f"the engine says: {' '.join(engine_error.split())}")
    if engine_state in _CANCELLED:
        return Verdict(CANCELLED, tuple(why), not hopeless)
    if not why:
        why.append(_silence(engine_state, last))
    return Verdict(FAILED, tuple(why), not hopeless)


def _failure(record: TaskRecord) -> str:
    again = f", attempt {record.attempt}" if record.attempt > 1 else ""
    if record.line.startswith(_STOPPED):
        return (
            f"{record.name}{again} was told to stop: the run was terminated, or its node "
            f"{record.node or '(not known)'} was taken away"
        )
    return f"{record.name}{again} ended with exit code {record.exit_code}: {record.line or 'it said nothing'}"


def _silence(engine_state: str, last: Sequence[TaskRecord]) -> str:
    """What is to be said where nobody says why: who was heard of last."""
    said = f"the engine says no more than {engine_state}"
    if not last:
        return f"{said}, and no task has written anything: was a pod not started, or an image not found?"
    unfinished = [record for record in last if not record.ended] or list(last)
    record = max(unfinished, key=lambda record: record.seen)
    doing = f" ({record.doing})" if record.doing else ""
    lost = "" if record.ended else "; it was killed, out of memory say, or its node is gone"
    return f"{said}; the last sign of life was {record.seen} of {record.name} on pod {record.pod}{doing}{lost}"
