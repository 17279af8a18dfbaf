"""A training that is told to end ends after a step that all its hosts agree on."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
import tensorflow as tf

from components.train.devices import ALONE, Devices, Hosts
from components.train.ending import Ending, before_the_first_step, together, told_to_end
from components.train.examples import read_examples
from fec.errors import RunFailed
from fec.layout import TRAIN
from fec.record_files import record_files
from fec.storage import open_storage


def test_being_told_to_end_is_heard_and_then_forgotten() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with told_to_end() as told:
        assert not told.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert told.is_set()
    assert signal.getsignal(signal.SIGTERM) == before


def test_told_before_the_first_step_it_ends_where_it_is_heeded() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with before_the_first_step() as heed:
        heed()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(RunFailed, match="before a step was made; nothing is lost"):
            heed()
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_nobody_has_heeded_is_heard_in_training() -> None:
    with before_the_first_step() as heed:
        with told_to_end() as told:
            assert not told.is_set()
        signal.raise_signal(signal.SIGTERM)
        with told_to_end() as told:
            assert told.is_set()
        with pytest.raises(RunFailed):
            heed()


def test_told_while_records_are_read_it_ends_there(records_of_600: Path) -> None:
    storage = open_storage(str(records_of_600))
    with before_the_first_step() as heed:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(RunFailed, match="told to stop"):
            read_examples(storage, record_files(storage, TRAIN), heed=heed)


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
