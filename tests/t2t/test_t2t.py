"""The real Tensor2Tensor: our Problems, our model, the main route's records. Runs in its own environment.

``make test-t2t`` makes that environment and names its interpreter in FEC_T2T_PYTHON.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.collect import step as collect
from components.datagen import step as datagen
from components.download import step as download
from components.faces import step as faces
from components.plan import step as plan
from fec.layout import SPLITS
from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve

PYTHON = os.environ.get("FEC_T2T_PYTHON", "")
PROJECT = Path(__file__).parents[2]
PRESET = "fec_tiny"
CHANCE = 1 / 3

pytestmark = pytest.mark.skipif(not PYTHON, reason="FEC_T2T_PYTHON names no interpreter with Tensor2Tensor")


def t2t(*arguments: str) -> str:
    """Run ``python -m pipelines.t2t`` in Tensor2Tensor's environment; gives all it said."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [PYTHON, "-m", "pipelines.t2t", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def train(records: Path, output: Path, steps: int) -> str:
    return t2t(
        "trainer",
        f"--problem={PRESET}",
        "--model=percep_similarity_triplet_emb",
        "--hparams_set=percep_similarity_triplet_emb_tiny",
        f"--data_dir={records}",
        f"--output_dir={output}",
        f"--train_steps={steps}",
        "--eval_steps=3",
        "--schedule=continuous_train_and_eval",
        f"--local_eval_frequency={steps}",
    )


def accuracies(log: str) -> list[float]:
    """The triplet accuracies of the evaluations in a trainer's log."""
    return [float(value) for value in re.findall(r"^INFO.*triplet_accuracy = ([0-9.]+)", log, flags=re.MULTILINE)]


@pytest.fixture(scope="module")
def verified_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with verified crops, and no records yet."""
    folder = tmp_path_factory.mktemp("t2t")
    root = str(folder / "root")
    with serve(scenario(portraits=40, train_triplets=200, eval_triplets=200)) as site:
        for split, csv in site.write_csvs(folder / "csv").items():
            plan.run(plan.Parameters(root=root, split=split, annotations=str(csv), num_shards=2))
            download.run(download.Parameters(root=root, split=split, group="0/1", allow_network=("127.0.0.0/8",)))
            faces.run(faces.Parameters(root=root, split=split, group="0/1"))
    return Path(root)


@pytest.fixture(scope="module")
def records(verified_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preset's records, made by the main route."""
    root = tmp_path_factory.mktemp("main") / "root"
    shutil.copytree(verified_root, root)
    for split in SPLITS:
        collect.run(collect.Parameters(root=str(root), split=split, preset=PRESET))
        datagen.run(datagen.Parameters(root=str(root), split=split, group="0/1", preset=PRESET))
    return root / "records"


def test_t2t_datagen_makes_the_same_bytes_as_the_main_route(verified_root: Path, records: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    t2t("datagen", f"--problem={PRESET}", f"--tmp_dir={verified_root}", f"--data_dir={data_dir}")
    ours = {file.name: file.read_bytes() for file in records.glob(f"{PRESET}-*")}
    assert {file.name: file.read_bytes() for file in data_dir.iterdir()} == ours
    assert {name.rpartition("-of-")[0] for name in ours} == {f"{PRESET}-train-00000", f"{PRESET}-dev-00000"}


def test_t2t_trainer_learns_evaluates_and_resumes(records: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    first = train(records, output, 60)
    assert accuracies(first)[-1] > CHANCE + 0.3
    assert (output / "model.ckpt-60.index").exists()
    second = train(records, output, 80)
    assert re.search(r"Restoring parameters from \S+model\.ckpt-60", second)
    assert (output / "model.ckpt-80.index").exists()


def test_another_program_is_a_users_mistake() -> None:
    done = subprocess.run(
        [PYTHON, "-m", "pipelines.t2t", "decoder"],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "expected one of datagen, trainer" in done.stderr
    assert "Traceback" not in done.stderr
