"""Worker processes that may die of what they are given: the others go on, and it is known what killed which.

A worker is a fresh interpreter (``python -m components.faces.pool``), so nothing depends on what the parent has
imported or which threads it runs, and it ends by itself when the parent is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# How often an item may kill its worker before it is given up: once may be chance.
ATTEMPTS: Final = 2


@dataclass(frozen=True)
class Crashed:
    """In place of a result: each of ATTEMPTS workers died of the item, the last by ``signal`` (0: it left)."""

    signal: int


@dataclass
class _Worker(Generic[T]):
    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    item: T | None = None
    deaths: int = 0  # of earlier workers, of this item


class Pool(Generic[T, R]):
    """``count`` workers; ``start``, called once in each, gives the function that does the work.

    Both the function ``start`` and items and results travel by pickle. A worker holds one item at a time.
    """

    def __init__(self, start: Callable[[], Callable[[T], R]], count: int) -> None:
        self._start = start
        self._workers: list[_Worker[T]] = []
        self._workers += [self._new_worker() for _ in range(count)]

    def map(self, items: Iterable[T]) -> Iterator[tuple[T, R | Crashed]]:
        """Each item with its result, as they come; an exception in a worker is raised here."""
        remaining = iter(items)
        again: deque[tuple[T, int]] = deque()

        def feed(worker: _Worker[T]) -> None:
            worker.item, worker.deaths = again.popleft() if again else (next(remaining, None), 0)
            if worker.item is not None:
                # A worker that died meanwhile shows it when its answer is read.
                with suppress(OSError):
                    worker.connection.send(worker.item)

        for worker in self._workers:
            feed(worker)
        while busy := [worker for worker in self._workers if worker.item is not None]:
            ready = wait([worker.connection for worker in busy])
            for worker in busy:
                item, deaths = worker.item, worker.deaths + 1
                if worker.connection not in ready or item is None:
                    continue
                try:
                    result, error = worker.connection.recv()
                except (EOFError, OSError):
                    status = self._replace(worker)
                    if deaths < ATTEMPTS:
                        again.append((item, deaths))
                    feed(worker)
                    if deaths == ATTEMPTS:
                        yield item, Crashed(max(0, -status))
                    continue
                if error is not None:
                    raise error
                feed(worker)
                yield item, result

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_worker(self) -> _Worker[T]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "components.faces.pool", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_descriptor() else subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"},
            )
        connection: Connection[Any, Any] = Connection(ours.detach())
        with suppress(OSError):
            connection.send(self._start)
        return _Worker(process, connection)

    def _replace(self, worker: _Worker[T]) -> int:
        """Put a new process in place of a dead one; the exit status of the dead."""
        worker.connection.close()
        try:
            status = worker.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            status = worker.process.wait()
        new = self._new_worker()
        worker.process, worker.connection, worker.item = new.process, new.connection, None
        return status


def _has_descriptor() -> bool:
    try:
        sys.stderr.fileno()
    except (OSError, AttributeError, ValueError):
        return False
    return True


def _serve(descriptor: int) -> None:
    """Work for the parent at the other end of the socket ``descriptor`` until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(descriptor)
    try:
        start = connection.recv()
        work = None
        while True:
            item = connection.recv()
            try:
                work = work or start()
                answer: tuple[Any, Exception | None] = (work(item), None)
            except Exception as error:  # noqa: BLE001 - raised in the parent
                answer = (None, error)
            connection.send(answer)
    except (EOFError, OSError):
        pass


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
