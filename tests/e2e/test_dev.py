"""``fec dev`` to its end, on photographs from this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OF_A_SPLIT = ("plan", "download", "faces", "collect", "datagen")
STEPS = [
    *(f"{step} of {split}" for split in ("train", "eval") for step in OF_A_SPLIT),
    "train",
    "evaluate",
    "summarize",
]


def dev(*arguments: str, **environment: str) -> list[str]:
    """Run ``fec dev``; the steps that were ok."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "dev", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line.rsplit(maxsplit=3) for line in done.stdout.splitlines()]
    assert lines[-1][:2] == ["all steps", "ok"]
    return [line[0] for line in lines[:-1] if line[1] == "ok"]


def test_every_step_is_tried_and_nothing_is_fetched_twice(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with serve(scenario(portraits=30, train_triplets=200, eval_triplets=100)) as site:
        csvs = site.write_csvs(tmp_path / "csv")
        lists = ("--train-csv", str(csvs["train"]), "--eval-csv", str(csvs["eval"]), "--root", str(root))
        more = ("--allow-network", "127.0.0.0/8", "--requests-per-second", "1000", "--image-size", "32")
        assert dev(*lists, *more) == STEPS
        assert [path.name for path in root.iterdir()] == ["dev"]
        (report,) = (root / "dev" / "reports").glob("*/report.html")
        assert report.stat().st_size > 10_000
        asked = len(site.requests)
        assert dev(*lists, *more) == STEPS
        assert len(site.requests) == asked


def test_without_arguments_it_leaves_nothing(tmp_path: Path) -> None:
    assert dev(TMPDIR=str(tmp_path)) == STEPS
    assert list(tmp_path.glob("fec-*")) == []
