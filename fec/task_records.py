"""What each task of a run on a cluster says of itself below the root: what it is doing and how it ended.

An engine forgets: it keeps no cause, and what it knows of a killed pod is that it ran. So a task puts a small file
(``runs/<run>/tasks/<task>/<attempt>.json``) when it starts, again while it works, and when it ends. The file of a task
that was killed says what it was doing last.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

from fec import layout
from fec.errors import FecError, RunFailed
from fec.progress import event, heard_by
from fec.storage import Storage, open_storage

# Seconds between two signs of life; a bucket takes one put a second of the same name.
BEAT: Final = 30.0
# Who has not been heard of for so many seconds is taken for dead.
SILENT: Final = 5 * BEAT
_READERS: Final = 16
_MAX_LINE: Final = 500
# Names of the run: what we set ourselves, the engine's name of the node, the pod's name.
RUN: Final = "FEC_RUN"
NODE: Final = "FEC_NODE"
_WORKFLOW: Final = re.compile(r"(.+?)(?:-(?:metadata-\d+-\d+-)?(?:retry-)?system-container-impl)?-\d+")
_FOLDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ToldToStop(RunFailed):
    """The engine, or the node that is taken away, asks the task to end: another attempt goes on."""


@dataclass(frozen=True)
class TaskRecord:
    """One attempt of one task.

    ``started``, ``seen`` (the last sign of life) and ``ended`` are times in ISO format, UTC; ``ended`` is empty while
    the task works, and for ever if it was killed. ``doing`` is the last it said, ``line`` the error it ended with.
    """

    step: str
    split: str
    group: str
    attempt: int
    pod: str
    node: str
    started: str
    seen: str
    ended: str = ""
    exit_code: int | None = None
    line: str = ""
    doing: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    counts: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as ``download train 6/10``."""
        return " ".join(filter(None, (self.step, self.split, "" if self.group.endswith("/1") else self.group)))

    @property
    def failed(self) -> bool:
        return self.exit_code not in (None, 0)

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        last = datetime.fromisoformat(self.ended or self.seen)
        return (last - datetime.fromisoformat(self.started)).total_seconds()

    def silent(self, now: datetime) -> float:
        """Seconds since the last sign of life."""
        return (now - datetime.fromisoformat(self.seen)).total_seconds()


def run_name(environment: Mapping[str, str]) -> str:
    """The engine's name of the run this process is a task of; empty where there is no engine."""
    if environment.get(RUN):
        return environment[RUN]
    match = _WORKFLOW.fullmatch(environment.get("ARGO_NODE_ID") or environment.get("KFP_POD_NAME", ""))
    return match[1] if match else ""


@contextmanager
def recorded(
    root: str, step: str, split: str = "", group: str = "", environment: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Keep the record of the task that the body is, if an engine runs it; SIGTERM ends the body with ToldToStop."""
    run = run_name(environment)
    if not _FOLDER.fullmatch(run):
        yield
        return
    with _stopped_by_sigterm():
        record = _Kept(open_storage(root), run, step, split, group or "0/1", environment)
        beating = threading.Event()
        thread = threading.Thread(target=record.beat, args=[beating], name="task record", daemon=True)
        thread.start()
        try:
            with heard_by(record.hear):
                yield
        except BaseException as error:
            beating.set()
            record.end(*_how(error))
            raise
        beating.set()
        record.end(0, "")


def read_records(storage: Storage, run: str) -> list[TaskRecord]:
    """All attempts of all tasks of ``run``, in the order in which they started."""
    paths = [entry.path for entry in storage.list(layout.tasks_dir(run)) if entry.path.endswith(".json")]
    with ThreadPoolExecutor(_READERS) as pool:
        found = [record for record in pool.map(lambda path: read_record(storage, path), paths) if record is not None]
    return sorted(found, key=lambda record: (record.started, record.name, record.attempt))


def last_attempts(records: list[TaskRecord]) -> list[TaskRecord]:
    """Of each task, its last attempt."""
    last: dict[str, TaskRecord] = {}
    for record in records:
        if record.name not in last or record.attempt >= last[record.name].attempt:
            last[record.name] = record
    return list(last.values())


class _Kept:
    """The record of this task, and the file that holds it."""

    def __init__(
        self, storage: Storage, run: str, step: str, split: str, group: str, environment: Mapping[str, str]
    ) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        directory = layout.task_dir(run, step, split, group)
        now = _now()
        self._record = TaskRecord(
            step=step,
            split=split,
            group=group,
            attempt=1 + sum(1 for _ in storage.list(directory)),
            pod=environment.get("KFP_POD_NAME") or environment.get("HOSTNAME", ""),
            node=environment.get(NODE, ""),
            started=now,
            seen=now,
        )
        self._path = f"{directory}/{self._record.attempt}.json"
        self._lost = False
        self._put(self._record)

    def hear(self, said: Mapping[str, Any]) -> None:
        """Note what the task says: how far it is, and in which words."""
        if said.get("event") == "error":
            return
        with self._lock:
            self._record = replace(self._record, doing=str(said.get("message", ""))[:_MAX_LINE])
            if said.get("event") == "progress":
                self._record = replace(
                    self._record, done=said["done"], total=said["total"], unit=said["unit"], counts=dict(said["counts"])
                )

    def beat(self, ended: threading.Event) -> None:
        """Give a sign of life now and then until the task has ended."""
        while not ended.wait(BEAT):
            with self._lock:
                if not ended.is_set():
                    self._record = replace(self._record, seen=_now())
                    self._put(self._record)

    def end(self, exit_code: int, line: str) -> None:
        with self._lock:
            now = _now()
            self._record = replace(self._record, seen=now, ended=now, exit_code=exit_code, line=line)
            self._put(self._record)

    def _put(self, record: TaskRecord) -> None:
        """Put the file; a task does not fail for it."""
        try:
            self._storage.write(self._path, (json.dumps(asdict(record)) + "\n").encode(), durable=False)
        except (FecError, OSError) as error:
            if not self._lost:
                self._lost = True
                event("record_lost", f"what this task does cannot be written down: {error}", severity="WARNING")


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM raises ToldToStop in the body, once; elsewhere than in the main thread nothing is changed."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ToldToStop("told to stop; what was done is stored, and another attempt goes on from there")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _how(error: BaseException) -> tuple[int, str]:
    """The exit code and the one line that a task ends with because of ``error``."""
    if isinstance(error, FecError):
        return error.exit_code, _line(str(error))
    if isinstance(error, SystemExit):
        return (error.code, "") if isinstance(error.code, int) else (int(error.code is not None), str(error.code or ""))
    return 1, _line(f"{type(error).__name__}: {error}")


def _line(text: str) -> str:
    return " ".join(text.split())[:_MAX_LINE]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(storage: Storage, path: str) -> TaskRecord | None:
    """The attempt that the file at ``path`` tells of, or None if it tells of none."""
    try:
        return TaskRecord(**json.loads(storage.read(path)))
    except (FileNotFoundError, ValueError, TypeError):
        return None
