"""What all tests share: property tests that try the same examples every time, and the threads of TensorFlow.

``pytest --hypothesis-profile=explore`` tries many others.
"""

import functools
import inspect
import os

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", max_examples=5_000, deadline=None)
settings.load_profile("same")

# TensorFlow reads it when it first calculates, in whichever test that is; processes that tests start have it from here.
# With another number of threads the same training ends in other bytes.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

# KFP asks for the whole call stack, with source lines, at every setting of a task, for a function's name. In a process
# that has imported TensorFlow that makes a compilation ten times as long; without the lines it takes nothing.
inspect.stack = functools.partial(inspect.stack, 0)


# What takes longest, so that no worker begins with it when the others are done.
FIRST = ("tests/e2e/", "tests/components/train/", "tests/docs/", "tests/pipelines/browse/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
