"""Steps that hold a whole list take their memory in one place."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import runpy, sys
try:
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert end.code, "nothing was to be done here"
import pyarrow.parquet
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    "asked", [["plan", "--annotations", "nowhere.csv"], ["download", "--group", "0/1"]], ids=lambda asked: asked[0]
)
def test_arrow_takes_its_memory_where_all_else_does(tmp_path: Path, asked: list[str]) -> None:
    step, *more = asked
    command = [f"components.{step}", "--root", str(tmp_path), "--split", "train", *more]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines()[-1] == "system"
