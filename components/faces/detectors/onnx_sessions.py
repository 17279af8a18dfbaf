"""Networks in ONNX's format, run by onnxruntime on the CPU; the only place that imports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

# onnxruntime reads it when it is initialized. From 1.29 on its wheels for Linux and macOS tell Microsoft of every
# process and session, and keep an id of the machine in the user's cache folder, unless this is set before.
_QUIET: Final = {"ORT_DISABLE_TELEMETRY": "1"}
# Its fatal errors are raised as exceptions as well; warnings are of graphs that nobody here can mend.
_ERRORS_ONLY: Final = 3


def open_session(graph: bytes | Path, threads: int = 0) -> Any:
    """An ``InferenceSession`` of a graph, or of the file that holds it; ``threads`` 0: one a core.

    It tells nobody that it runs. Needs onnxruntime, whose errors it passes on.
    """
    os.environ.update(_QUIET)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
    )
