"""When a training ends before its time: by SIGTERM (a node is taken away), after a step that all its hosts agree on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
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


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Set by SIGTERM while the context lasts; never outside the main thread."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
