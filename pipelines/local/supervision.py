"""A process with everything it starts: watched while it runs, and an end that leaves nothing running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO, Final

# Seconds that processes have to end by themselves before they are killed. They lose nothing by it: a step goes on
# from its journal.
GRACE: Final = 2.0
# Seconds between two looks at a running process.
_LOOK: Final = 0.1


class Stopped(BaseException):
    """A signal asked for the end; ``exit_code`` is what a shell expects then."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped in the body on SIGINT, SIGTERM or SIGHUP."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervised:
    """A running command in a process group of its own, with both its outputs going to the file ``output``.

    Its standard input stays open as long as this process lives and ends with it, however it ends.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], inherited: Sequence[int]
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            pass_fds=inherited,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def looks(self) -> Iterator[None]:
        """The times to look at what came of it: many a second while the command runs, and once after its end."""
        while self._process.poll() is None:
            yield
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK)
        yield

    def wait(self) -> int:
        """The exit code, once the command has ended; negative: the signal that killed it."""
        return self._process.wait()

    def stop(self) -> None:
        """End the command and all it started; no error if they have ended."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextmanager
def supervised(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], inherited: Sequence[int] = ()
) -> Iterator[Supervised]:
    """Start ``command``; whatever ends the body ends the command and all it started.

    ``inherited`` are file descriptors that the command gets as they are.
    """
    with stoppable():
        process = Supervised(command, environment, output, inherited)
        try:
            yield process
        finally:
            process.stop()
