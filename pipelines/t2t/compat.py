"""What today's TensorFlow, gym and Python no longer have, given back to Tensor2Tensor 1.15.7."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any, NamedTuple

from fec.errors import ConfigurationError


class _ArgSpec(NamedTuple):
    args: list[str]
    varargs: str | None
    keywords: str | None
    defaults: tuple[Any, ...] | None


def _getargspec(function: Any) -> _ArgSpec:
    return _ArgSpec(*inspect.getfullargspec(function)[:4])


def mend() -> None:
    """Mend what has to be mended before ``tensor2tensor`` is imported; ConfigurationError where it is not installed."""
    if importlib.util.find_spec("tensor2tensor") is None:
        raise ConfigurationError(
            "Tensor2Tensor is not installed here; it has an environment of its own: "
            "pip install --no-deps -r images/t2t/requirements.txt, in a venv with Python 3.11"
        )
    tensorflow = importlib.import_module("tensorflow")
    ops = importlib.import_module("tensorflow.python.framework.ops")
    for name in ("Tensor", "IndexedSlices", "SparseTensor"):  # tf-slim 1.1.0 looks for them here
        if not hasattr(ops, name):
            setattr(ops, name, getattr(tensorflow, name))
    if not hasattr(inspect, "getargspec"):  # gone in Python 3.11; tensor2tensor.utils.metrics calls it
        vars(inspect)["getargspec"] = _getargspec
    # tensor2tensor.envs registers gym environments when imported, through an interface that gym has dropped.
    gym_utils = importlib.import_module("tensor2tensor.rl.gym_utils")
    vars(gym_utils)["register_gym_env"] = lambda *args, **kwargs: (None, None)
