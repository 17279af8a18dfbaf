"""``fec dev --t2t``: every step on one small shard, the last of them the real Tensor2Tensor's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.t2t.conftest import PYTHON, TIMEOUT, environment, needs_t2t

pytestmark = needs_t2t

OF_A_SPLIT = ("plan", "download", "faces", "collect")
OF_ALL = ("t2t-datagen", "t2t-trainer", "summarize")
STEPS = [*(f"{step} of {split}" for split in ("train", "eval") for step in OF_A_SPLIT), *OF_ALL]


def test_every_step_is_tried_with_tensor2tensor(tmp_path: Path) -> None:
    root = tmp_path / "root"
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "dev", "--t2t", "--t2t-python", PYTHON, "--root", str(root)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line.rsplit(maxsplit=3)[:2] for line in done.stdout.splitlines()]
    assert lines == [[step, "ok"] for step in [*STEPS, "all steps"]]
    (report,) = (root / "dev" / "reports").glob("t2t-*/metrics.json")
    (summary,) = (root / "dev" / "runs").glob("*/summary.json")
    assert json.loads(report.read_text())["run"] in summary.read_text()
