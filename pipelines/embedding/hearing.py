"""A library's loading without what it says meanwhile, in a terminal of a person who asked for something else."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unheard() -> Iterator[None]:
    """What native code writes to standard error while the body lasts is shown only if the body fails.

    TensorFlow says where it runs, and which GPU it has not found, past every setting and before any can be made.
    """
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except Exception:
            said.seek(0)
            os.write(before, said.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def quiet_tensorflow() -> Any:
    """TensorFlow, imported and with its devices looked up, as the backend of Keras; not heard meanwhile."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with unheard():
        import tensorflow as tf

        tf.config.list_physical_devices()
    return tf
