"""Verdicts on many images at once, in worker processes: none is decoded in the step's own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

from components.faces import detectors, limits
from components.faces.parameters import Parameters
from components.faces.pool import Crashed, Pool
from components.faces.verification import Verdict, WantedFace, rejected, verify_image
from fec.cores import available_cores
from fec.errors import RunFailed
from fec.outcomes import FaceOutcome

# A worker takes about as long to start as this many images take to verify.
FEW_IMAGES: Final = 64
# So many pictures one after the other whose worker was killed, or left, and none that was verified: that is
# not the pictures' doing.
MAX_KILLED: Final = 8


class Task(Protocol):
    """An image for a worker, which travels to it by pickle."""

    @property
    def wanted(self) -> tuple[WantedFace, ...]:
        """The faces published for it."""

    def read(self) -> bytes:
        """Its original; called in the worker."""

    def put(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """What is to travel back of the verdicts on ``wanted``; called in the worker."""


@dataclass(frozen=True)
class ImageTask:
    """An original that was read, and the faces published for it; the verdicts come back with their crops."""

    data: bytes
    wanted: tuple[WantedFace, ...]

    def read(self) -> bytes:
        return self.data

    def put(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        return list(verdicts)


@dataclass(frozen=True)
class Setup:
    """What a worker needs to begin; called in it, gives the function that does the work.

    ``weights`` is the folder on this machine where those of ``criteria.detector`` are.
    """

    criteria: Parameters
    weights: str

    def __call__(self) -> Callable[[Task], list[Verdict]]:
        detector = detectors.load(self.criteria.detector, self.weights)
        limits.limit_memory(self.criteria.max_pixels)
        limited = partial(limits.cpu_time, limits.seconds(self.criteria.max_pixels))

        def verified(task: Task) -> list[Verdict]:
            return task.put(verify_image(task.read(), task.wanted, self.criteria, detector, limited))

        return verified


class Verifiers:
    """Everything that verifies, for as long as the context lasts.

    At most ``workers`` processes (0: one for each core this process may use), fewer for few ``images``. Loads the
    detector first, so that wrong weights are known before anything is touched.
    """

    def __init__(self, setup: Setup, workers: int, images: int) -> None:
        self.setup = setup
        detector = detectors.load(setup.criteria.detector, setup.weights)
        self.threshold = setup.criteria.min_confidence or detector.threshold
        count = min(workers or available_cores(), 1 + images // FEW_IMAGES)
        self._pool: Pool[Task, list[Verdict]] = Pool(setup, count)

    def map(self, tasks: Iterable[Task]) -> Iterator[list[Verdict]]:
        """The verdicts on each task, as they come.

        Those on pictures whose worker was killed wait for one that is verified: until then it may be the
        machine that kills. Raises RunFailed after MAX_KILLED of them.
        """
        killed: list[list[Verdict]] = []
        for task, result in self._pool.map(tasks):
            if not isinstance(result, Crashed):
                yield from killed
                killed.clear()
                yield result
                continue
            if result.signal not in (0, signal.SIGKILL, signal.SIGTERM):
                yield self._crashed(task, result.signal)
                continue
            killed.append(self._crashed(task, result.signal))
            if len(killed) == MAX_KILLED:
                raise RunFailed(
                    f"{MAX_KILLED} images one after the other ended their worker process "
                    f"({killed[-1][0].face.detail}), the last of them {task.wanted[0].image_id}: "
                    "give the step more memory, or lower --workers or --max-pixels"
                )
        yield from killed

    def sure(self, tasks: Iterable[Task]) -> Iterator[list[Verdict]]:
        """The verdicts on each task, as they come, but for those whose worker died: that may be the machine's doing.

        Raises RunFailed after MAX_KILLED of them one after the other.
        """
        killed = 0
        for _, result in self._pool.map(tasks):
            if not isinstance(result, Crashed):
                killed = 0
                yield result
            elif (killed := killed + 1) == MAX_KILLED:
                raise RunFailed(f"{MAX_KILLED} images one after the other ended their worker process")

    def _crashed(self, task: Task, number: int) -> list[Verdict]:
        """A picture that ended two workers has not been read."""
        if number == signal.SIGPROF:
            detail = f"decoding it takes more than {limits.seconds(self.setup.criteria.max_pixels):.0f} s"
        else:
            how = signal.Signals(number).name if number else "it left; its message is in the log"
            detail = f"it ended the process twice ({how})"
        return [rejected(face, FaceOutcome.UNREADABLE, detail, self.setup.criteria.detector) for face in task.wanted]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
