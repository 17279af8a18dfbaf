"""onnxruntime as the project runs it: alone, and without a word to anybody."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import os, sys, time
import numpy as np
from components.faces.detectors.yunet import WEIGHTS
from components.faces.detectors.onnx_sessions import open_session

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
session = open_session(WEIGHTS, threads=1)
session.run(None, {"input": np.zeros((1, 3, 640, 640), np.float32)})
print(threads() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads by /proc")
def test_a_session_has_no_threads_of_its_own_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    # Where it tells of itself it does so from threads, and keeps an id of the machine below HOME.
    assert (ran.stdout, ran.stderr) == ("0\n", "")
    assert list(tmp_path.rglob("*")) == []


def test_nothing_else_imports_it() -> None:
    files = (file for folder in ("fec", "components", "pipelines") for file in (ROOT / folder).rglob("*.py"))
    importing = [file for file in files if re.search(r"^\s*(import|from) onnxruntime", file.read_text(), re.MULTILINE)]
    assert importing == [ROOT / "components" / "faces" / "detectors" / "onnx_sessions.py"]
