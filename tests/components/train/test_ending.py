"""A training that is told to end ends after a step that all its hosts agree on."""

from __future__ import annotations

import signal
import threading

import pytest
import tensorflow as tf

from components.train.devices import ALONE, Devices, Hosts
from components.train.ending import Ending, together, told_to_end
from fec.errors import RunFailed


def test_being_told_to_end_is_heard_and_then_forgotten() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with told_to_end() as told:
        assert not told.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert told.is_set()
    assert signal.getsignal(signal.SIGTERM) == before


def test_one_host_ends_after_the_step_in_which_it_is_told() -> None:
    told = threading.Event()
    ending = Ending(Devices("cpu", ("a",), 1, tf.distribute.get_strategy()), told)
    assert not ending.now()
    told.set()
    assert ending.now()


def test_several_hosts_end_a_step_after_they_have_told_each_other() -> None:
    told = threading.Event()
    ending = Ending(Devices("cpu", ("a", "b"), 2, tf.distribute.get_strategy(), hosts=Hosts(2, 1)), told)
    assert not ending.now()
    told.set()
    assert not ending.now()
    assert ending.now()


def test_a_host_that_is_gone_ends_the_others_in_one_line() -> None:
    gone = tf.errors.UnavailableError(None, None, "Socket closed")
    with pytest.raises(RunFailed, match=r"another of the 2 hosts has ended .*: run them again"), together(Hosts(2, 0)):
        raise gone
    with pytest.raises(tf.errors.UnavailableError), together(ALONE):
        raise gone
