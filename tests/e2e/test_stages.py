"""A whole run that stops before training, on a machine without TensorFlow."""

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Fec


@pytest.mark.slow
def test_a_run_to_the_records_needs_no_tensorflow(fec: Fec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none" / "tensorflow").mkdir(parents=True)
    (tmp_path / "none" / "tensorflow" / "__init__.py").write_text("raise ImportError('there is none')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'none'}{os.pathsep}{Path.cwd()}")
    told = fec.finish(tmp_path / "root", "--until", "records")
    assert told["until"] == "records"
    assert told["splits"]["train"]["funnel"]["records"] > 0
    assert list((tmp_path / "root" / "records").glob("fec_base-train-*"))
    assert not (tmp_path / "root" / "models").exists()
    refused = fec.run(tmp_path / "root", "--until", "plan", "--eval-csv", str(fec.csvs["train"]))
    assert refused.returncode == 2
    assert "of another list" in refused.stderr
