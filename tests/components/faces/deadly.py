"""Work that ends its process, for the tests of the pool; workers import it by name."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from components.faces import limits
from components.faces.verification import Verdict, rejected
from components.faces.verifiers import Setup, Task
from fec.errors import ConfigurationError
from fec.outcomes import FaceOutcome


def deadly_work() -> Callable[[str], str]:
    """A function that does as its item says."""
    return _work


def worker_pid() -> Callable[[str], str]:
    return lambda item: str(os.getpid())


class DeadlySetup(Setup):
    """Verifiers that die of the image whose bytes say so."""

    def __call__(self) -> Callable[[Task], list[Verdict]]:
        def verify(task: Task) -> list[Verdict]:
            _work(task.read().decode())
            return [rejected(face, FaceOutcome.NO_FACE, "", "none") for face in task.wanted]

        return verify


def _work(item: str) -> str:
    word, _, rest = item.partition(" ")
    match word:
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            os._exit(3)
        case "spin":
            with limits.cpu_time(0.2):
                while True:
                    pass
        case "memory":
            limits.limit_memory(1_000_000)
            try:
                bytearray(1 << 30)
            except MemoryError:
                return "refused"
        case "error":
            raise ConfigurationError("as asked")
        case "once" if not Path(rest).exists():
            Path(rest).touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "once":
            return "survived"
    return item.upper()
