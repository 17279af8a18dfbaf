"""Both components as Kubeflow runs them in the image, in Tensor2Tensor's environment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fec import layout
from fec.done import read_done
from fec.layout import EVAL, TRAIN
from fec.storage import open_storage
from pipelines.t2t.component import t2t_datagen, t2t_train
from tests.components.train.conftest import write_root
from tests.fec.conftest import BUCKET, google_emulator, use_google
from tests.t2t.conftest import (
    CHANCE,
    PYTHON,
    TIMEOUT,
    as_kubeflow_does,
    environment,
    needs_t2t,
    record_bytes,
    task,
)

__all__ = ["google_emulator", "use_google"]

pytestmark = needs_t2t

DEV_TRIPLETS = 300


def test_datagen_makes_the_bytes_of_the_main_route_and_again_is_free(
    verified_root: Path, main_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(verified_root, root)
    given, _ = as_kubeflow_does(t2t_datagen, {"root": str(root)}, tmp_path / "first")
    assert given == "fec_base"
    assert record_bytes(root / "records", "fec_base") == record_bytes(main_root / "records", "fec_base") != {}
    _, said = as_kubeflow_does(t2t_datagen, {"root": str(root)}, tmp_path / "second")
    assert "write records" not in said
    assert "tensorflow" not in said


def test_a_spoiled_record_is_named(main_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(main_root, root)
    file = next((root / "records").glob("fec_base-train-*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = subprocess.run(
        [PYTHON, "-m", "pipelines.t2t.training_step", "--root", str(root), "--train-steps", "1"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 1
    assert f"records/{file.name}: the record at byte" in json.loads(done.stderr.splitlines()[-1])["message"]
    assert not (root / "models").exists()


def test_a_killed_training_goes_on_on_another_machine_and_learns(
    use_google: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"gs://{BUCKET}/t2t-learnable"
    # Expressions drawn over photographs, none in both splits.
    write_root(root, 1500, split=TRAIN)
    write_root(root, DEV_TRIPLETS, files=1, split=EVAL, seed=8)
    arguments = {"root": root, "train_steps": 200, "run": "mine", "checkpoint_every": 50}
    machine = tmp_path / "machine"
    machine.mkdir()
    run_until_a_checkpoint_is_stored(root, arguments, machine)

    another = tmp_path / "another"
    another.mkdir()
    given, said = as_kubeflow_does(t2t_train, arguments, tmp_path / "task", TMPDIR=str(another))
    assert given == "mine"
    assert "training goes on after step" in said

    storage = open_storage(root)
    metrics = json.loads(storage.read("reports/mine/metrics.json"))
    accuracy = metrics["triplet_accuracy"]["overall"]
    with capsys.disabled():
        print(f"\nstrict triplet accuracy on dev after 200 steps: {accuracy:.3f} (chance 0.333)")
    assert (metrics["steps"], metrics["counts"]["overall"]) == (200, DEV_TRIPLETS)
    assert accuracy == pytest.approx(metrics["right"]["overall"] / DEV_TRIPLETS, abs=1e-4)
    assert accuracy > CHANCE + 0.2
    assert f"{metrics['right']['overall']:,} of {DEV_TRIPLETS:,}" in storage.read("reports/mine/report.html").decode()
    assert (tmp_path / "task" / "report").read_bytes() == storage.read("reports/mine/report.html")
    shown = json.loads((tmp_path / "task" / "executor_output.json").read_text())["artifacts"]["metrics"]["artifacts"][0]
    assert shown["metadata"]["triplet_accuracy_overall"] == accuracy
    stored = {entry.path for entry in storage.list("models/mine")}
    assert {"models/mine/t2t/checkpoint", "models/mine/t2t/model.ckpt-200.index"} <= stored
    assert not any("/checkpoint/" in path for path in stored)
    assert list(another.glob("fec-*")) == []  # no unfinished work
    done = read_done(storage, layout.model_dir("mine"))
    assert done is not None
    assert done.counts["steps"] == 200

    _, said = as_kubeflow_does(t2t_train, arguments, tmp_path / "again", TMPDIR=str(another))
    assert "train:" not in said


def run_until_a_checkpoint_is_stored(root: str, arguments: dict[str, object], machine: Path) -> None:
    """Start the training, and kill everything of it as soon as the root has a checkpoint."""
    command, _ = task(t2t_train, arguments, machine)
    path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
    storage = open_storage(root)
    with open(machine / "log", "w") as log:
        process = subprocess.Popen(
            command,
            env=environment(PATH=path, TMPDIR=str(machine)),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        while not any(entry.path.endswith("/checkpoint") for entry in storage.list("models/mine")):
            assert process.poll() is None, (machine / "log").read_text()[-4000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        # The trainer, in a group of its own, ends with the step that holds its standard input.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
