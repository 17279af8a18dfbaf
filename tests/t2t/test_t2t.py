"""The real t2t-datagen and t2t-trainer: our Problems, our model, the main route's records.

``make test-t2t`` makes their environment and names its interpreter in FEC_T2T_PYTHON.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipelines.t2t.training_parameters import HPARAMS_SETS
from tests.t2t.conftest import CHANCE, PROJECT, PYTHON, environment, needs_t2t, record_bytes, t2t

pytestmark = needs_t2t

PRESET = "fec_tiny"


def train(records: Path, output: Path, steps: int, schedule: str) -> str:
    return t2t(
        "trainer",
        f"--problem={PRESET}",
        "--model=percep_similarity_triplet_emb",
        f"--hparams_set={HPARAMS_SETS[0]}",
        f"--data_dir={records}",
        f"--output_dir={output}",
        f"--train_steps={steps}",
        "--eval_steps=3",
        f"--schedule={schedule}",
        f"--local_eval_frequency={steps}",
    )


def accuracies(log: str) -> list[float]:
    """The triplet accuracies of the evaluations in a trainer's log."""
    return [float(value) for value in re.findall(r"^INFO.*triplet_accuracy = ([0-9.]+)", log, flags=re.MULTILINE)]


def test_t2t_datagen_makes_the_same_bytes_as_the_main_route(
    verified_root: Path, main_root: Path, tmp_path: Path
) -> None:
    t2t("datagen", f"--problem={PRESET}", f"--tmp_dir={verified_root}", f"--data_dir={tmp_path}")
    ours = record_bytes(main_root / "records", PRESET)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == ours
    assert {name.rpartition("-of-")[0] for name in ours} == {f"{PRESET}-train-00000", f"{PRESET}-dev-00000"}


def test_t2t_trainer_learns_evaluates_and_resumes(main_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    first = train(main_root / "records", output, 40, "continuous_train_and_eval")
    assert accuracies(first)[-1] > CHANCE + 0.3
    assert (output / "model.ckpt-40.index").exists()
    second = train(main_root / "records", output, 45, "train")
    assert re.search(r"Restoring parameters from \S+model\.ckpt-40", second)
    assert (output / "model.ckpt-45.index").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decoder"], "expected one of datagen, trainer"),
        (["datagen", "--problem=fec_tiny", "--tmp_dir=TMP", "--data_dir=TMP"], "expected the --root of a run"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [PYTHON, "-m", "pipelines.t2t", *(argument.replace("TMP", str(tmp_path)) for argument in arguments)],
        env=environment(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
