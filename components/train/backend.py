"""What Keras calculates with: told to it before it is imported, whatever a keras.json or the environment says."""

from __future__ import annotations

import importlib
import importlib.util
import os

from components.train.parameters import JAX, TENSORFLOW
from fec.errors import ConfigurationError


def take(backend: str) -> None:
    """Have Keras calculate with ``backend``; ConfigurationError, saying what to install, where that is not there.

    TensorFlow is needed in any case: it makes the batches.
    """
    for module, called, extra in ((TENSORFLOW, "TensorFlow", "train"), (JAX, "JAX", "jax")):
        if module in (TENSORFLOW, backend) and importlib.util.find_spec(module) is None:
            raise ConfigurationError(f"{called} is not installed: pip install 'fec[{extra}]'")
    os.environ["KERAS_BACKEND"] = backend


def need_keras_hub() -> None:
    """ConfigurationError, saying what to install, without what reads presets."""
    if importlib.util.find_spec("keras_hub") is None:
        raise ConfigurationError("--backbone: a preset of keras-hub, which is not installed: pip install 'fec[hub]'")


def versions(backend: str) -> dict[str, str]:
    """Of the libraries that a model is made with, by name."""
    modules = (TENSORFLOW, "keras", *({backend} - {TENSORFLOW}))
    return {module: str(importlib.import_module(module).__version__) for module in modules}
