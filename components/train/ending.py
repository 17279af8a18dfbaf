"""When a training ends before its time: by SIGTERM (a node is taken away), after a step that all its hosts agree on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from components.train.devices import Devices, Hosts
from fec.errors import RunFailed


class Ending:
    """Whether to end after the step that was just made: asked after each step, the same answer on every host."""

    def __init__(self, on: Devices, told: threading.Event) -> None:
        self._told, self._several = told, on.hosts.count > 1
        self._heard: Any = 0.0

        @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
        def counted(here: Any) -> Any:
            return on.spread.reduce(tf.distribute.ReduceOp.SUM, on.spread.run(lambda one: one, (here,)), axis=None)

        self._counted = counted

    def now(self) -> bool:
        """Hosts are told at different moments, and one that ended alone would leave the others waiting for its part.

        So each tells the others after every step, and all end a step after one of them was told: what is read is what
        they said a step ago, for which no device has to be waited for.
        """
        if not self._several:
            return self._told.is_set()
        before, self._heard = self._heard, self._counted(tf.constant(float(self._told.is_set())))
        return bool(before > 0)


@contextmanager
def together(hosts: Hosts) -> Iterator[None]:
    """Raise RunFailed where another of several ``hosts`` is gone: without its part of each batch none can go on."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if hosts.count == 1:
            raise
        raise RunFailed(
            f"another of the {hosts.count} hosts has ended ({type(error).__name__}): run them again, and all go on "
            "from the last checkpoint"
        ) from None


class _Told:
    """Notes that SIGTERM came."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, *_: object) -> None:
        self.event.set()


@contextmanager
def before_the_first_step() -> Iterator[Callable[[], None]]:
    """What is given raises RunFailed, in one line, if SIGTERM came while the context lasts: to be called now and then.

    An error raised when the signal comes may get lost in who is at work: TensorFlow goes on without what fails of its
    own, and so does logging.
    """

    def heed() -> None:
        if told.event.is_set():
            raise RunFailed("told to stop before a step was made; nothing is lost, run again")

    told = _Told()
    with _hearing(told):
        yield heed


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Set by SIGTERM while the context lasts, or by one that nobody has heeded; never outside the main thread."""
    before, told = signal.getsignal(signal.SIGTERM), _Told()
    if isinstance(before, _Told) and before.event.is_set():
        told.event.set()
    with _hearing(told):
        yield told.event


@contextmanager
def _hearing(told: _Told) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
