"""What Keras calculates with: told to it before it is imported, whatever a keras.json or the environment says."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Final

from components.train.parameters import JAX, TENSORFLOW
from fec.cores import available_cores
from fec.errors import ConfigurationError

# How many threads TensorFlow shares one operation out to: by itself as many as the machine has cores, whatever this
# process may use of them, and though a core is busy making batches. With one of two cores `tiny` took less time and CPU
# (README.md).
THREADS: Final = "TF_NUM_INTRAOP_THREADS"


def take(backend: str) -> None:
    """Have Keras calculate with ``backend``; ConfigurationError, saying what to install, where that is not there.

    TensorFlow is needed in any case: it makes the batches, and is left a core for that unless THREADS is set already.
    """
    for module, called, extra in ((TENSORFLOW, "TensorFlow", "train"), (JAX, "JAX", "jax")):
        if module in (TENSORFLOW, backend) and importlib.util.find_spec(module) is None:
            raise ConfigurationError(f"{called} is not installed: pip install 'fec[{extra}]'")
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault(THREADS, str(max(1, available_cores() - 1)))


def need_keras_hub() -> None:
    """ConfigurationError, saying what to install, without what reads presets."""
    if importlib.util.find_spec("keras_hub") is None:
        raise ConfigurationError("--backbone: a preset of keras-hub, which is not installed: pip install 'fec[hub]'")


def versions(backend: str) -> dict[str, str]:
    """Of the libraries that a model is made with, by name."""
    modules = (TENSORFLOW, "keras", *({backend} - {TENSORFLOW}))
    return {module: str(importlib.import_module(module).__version__) for module in modules}
