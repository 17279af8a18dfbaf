"""Verdicts on many images at once: in worker processes, or in this one where they would not pay."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from components.faces import detectors
from components.faces.pool import Crashed, Pool
from components.faces.verification import Criteria, Verdict, WantedFace, rejected, verify_image
from fec.cores import available_cores
from fec.errors import RunFailed
from fec.outcomes import FaceOutcome

# A worker takes about as long to start as this many images take to verify.
FEW_IMAGES: Final = 64


@dataclass(frozen=True)
class ImageTask:
    """An original and the faces published for it."""

    data: bytes
    wanted: tuple[WantedFace, ...]


@dataclass(frozen=True)
class Setup:
    """What a worker needs to begin; called in it, gives the function that does the work."""

    detector: str
    weights: str
    criteria: Criteria

    def __call__(self) -> Callable[[ImageTask], list[Verdict]]:
        detector = detectors.load(self.detector, self.weights)
        return lambda task: verify_image(task.data, task.wanted, self.criteria, detector)


class Verifiers:
    """Everything that verifies, for as long as the context lasts.

    ``workers`` processes (0: one for each core this process may use) if there are more than FEW_IMAGES of
    ``images``. Loads the detector first, so that wrong weights are known before anything is touched.
    """

    def __init__(self, setup: Setup, workers: int, images: int) -> None:
        self.setup = setup
        self._verify = setup()
        count = min(workers or available_cores(), images)
        self._pool: Pool[ImageTask, list[Verdict]] | None = None
        if count > 1 and images > FEW_IMAGES:
            self._pool = Pool(setup, count)

    def map(self, tasks: Iterable[ImageTask]) -> Iterator[list[Verdict]]:
        """The verdicts on each task, as they come."""
        if self._pool is None:
            yield from map(self._verify, tasks)
            return
        for task, result in self._pool.map(tasks):
            yield self._crashed(task, result.signal) if isinstance(result, Crashed) else result

    def _crashed(self, task: ImageTask, number: int) -> list[Verdict]:
        """A decoder that crashes on an image has not read it; a process that is killed was short of memory."""
        if number in (0, signal.SIGKILL, signal.SIGTERM):
            raise RunFailed(
                f"a worker process ended twice on image {task.wanted[0].image_id}"
                + (f" ({signal.Signals(number).name})" if number else "; its message stands above")
                + ": give the step more memory, or lower --workers or --max-pixels"
            )
        detail = f"decoding it ended the process ({signal.Signals(number).name})"
        return [rejected(face, FaceOutcome.UNREADABLE, detail, self.setup.detector) for face in task.wanted]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close()
