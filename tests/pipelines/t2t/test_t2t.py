"""The Tensor2Tensor steps where Tensor2Tensor is not: contracts, mistakes, checkpoints. tests/t2t has the rest."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from fec import images
from fec.storage import open_storage
from pipelines.t2t import component, datagen_step, training_step
from pipelines.t2t.checkpoints import TrainerCheckpoints
from pipelines.t2t.training import Evaluation
from tests.components.train.conftest import write_root
from tests.fec.conftest import BUCKET, google_emulator, use_google

__all__ = ["google_emulator", "use_google"]

ROOT = Path(__file__).parents[3]
STEPS = [(component.t2t_datagen, datagen_step), (component.t2t_train, training_step)]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT)


def assert_one_line(done: subprocess.CompletedProcess[str], exit_code: int, *words: str) -> None:
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in json.loads(done.stderr)["message"]


@pytest.mark.parametrize(("of_kfp", "step"), STEPS)
def test_component_and_step_take_the_same(of_kfp: Any, step: Any) -> None:
    hints = typing.get_type_hints(step.Parameters)
    fields = {field.name: field for field in dataclasses.fields(step.Parameters)}
    kinds = typing.get_type_hints(of_kfp.python_func)
    inputs = {
        name: argument
        for name, argument in inspect.signature(of_kfp.python_func).parameters.items()
        if not issubclass(kinds[name], dsl.Artifact)
    }
    assert {name: (value.annotation, value.default) for name, value in inputs.items()} == {
        name: (hints[name], inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default)
        for name, field in fields.items()
    }


@pytest.mark.parametrize(("of_kfp", "step"), STEPS)
def test_every_input_is_described_and_has_its_option(of_kfp: Any, step: Any) -> None:
    inputs = of_kfp.component_spec.inputs
    assert [name for name, spec in inputs.items() if not spec.description] == []
    done = python("-m", step.__name__, "--help")
    readme = (ROOT / "pipelines" / "t2t" / "README.md").read_text()
    for name in inputs:
        option = "--" + name.replace("_", "-")
        assert option in done.stdout
        assert f"`{option}`" in readme


@pytest.mark.parametrize(("of_kfp", "step"), STEPS)
def test_the_component_compiles_to_the_image_of_tensor2tensor(of_kfp: Any, step: Any, tmp_path: Path) -> None:
    compiler.Compiler().compile(of_kfp, str(tmp_path / "component.yaml"))
    document = next(yaml.safe_load_all((tmp_path / "component.yaml").read_text()))
    (executor,) = document["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == images.T2T_IMAGE == "fec-t2t:latest"
    assert "pip install" not in str(executor["container"]["command"])


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (datagen_step, ["--problem", "fec_huge"], ["'fec_huge'", "fec_base, fec_tiny"]),
        (datagen_step, ["--image-size", "4"], ["image_size 4", "8 to 1024"]),
        (datagen_step, [], ["no finished plan of train", "plan step"]),
        (training_step, ["--problem", "fec_huge"], ["'fec_huge'", "fec_base, fec_tiny"]),
        (training_step, ["--hparams-set", "transformer_base"], ["'transformer_base'", "percep_similarity_triplet_emb"]),
        (training_step, ["--train-steps", "0"], ["train_steps 0", "1 or more"]),
        (training_step, ["--eval-steps", "-1"], ["eval_steps -1", "0 (all) or more"]),
        (training_step, ["--checkpoint-every", "0"], ["checkpoint_every 0", "1 or more"]),
        (training_step, ["--seed", str(2**63)], ["seed", "64 bits"]),
        (training_step, ["--run", "../x"], ["run '../x'", "name of a folder"]),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(step: Any, options: list[str], words: list[str], tmp_path: Path) -> None:
    assert_one_line(python("-m", step.__name__, "--root", str(tmp_path), *options), 2, *words)


def test_records_that_are_missing_are_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done = python("-m", training_step.__name__, "--root", str(tmp_path))
    assert_one_line(done, 1, "no collected triplets of train", "collect step")


def test_without_tensor2tensor_it_is_said_how_to_have_it(tmp_path: Path) -> None:
    for split in ("train", "eval"):
        write_root(str(tmp_path), 6, split=split)
    done = python("-m", training_step.__name__, "--root", str(tmp_path))
    assert done.returncode == 2
    last = json.loads(done.stderr.splitlines()[-1])
    assert "Tensor2Tensor is not installed here" in last["message"]
    assert "images/t2t/requirements.txt" in last["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "INFO:tensorflow:Saving dict for global step 60: global_step = 60, loss = 0.25, "
            "metrics-fec_tiny/targets/triplet_accuracy = 0.875",
            Evaluation(60, 0.25, 0.875),
        ),
        ("INFO:tensorflow:Saving dict for global step 60: global_step = 60, loss = 0.25", None),
        ("INFO:tensorflow:Saving checkpoints for 60 into /somewhere/model.ckpt.", None),
    ],
)
def test_an_evaluation_is_read_from_the_trainer_s_own_line(line: str, expected: Evaluation | None) -> None:
    assert Evaluation.said_in(line) == expected


def checkpoint(folder: Path, step: int) -> None:
    """Put a checkpoint into ``folder`` as TensorFlow does, the file that names it last."""
    folder.mkdir(exist_ok=True)
    for ending in ("index", "meta", "data-00000-of-00001"):
        (folder / f"model.ckpt-{step}.{ending}").write_text(f"{step} {ending}")
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "model.ckpt-{step}"\nall_model_checkpoint_paths: "model.ckpt-0"\n'
    )


def test_another_machine_gets_the_last_checkpoint_of_a_bucket(use_google: None, tmp_path: Path) -> None:
    storage = open_storage(f"gs://{BUCKET}/t2t-checkpoints")
    here, there = tmp_path / "here", tmp_path / "there"
    ours = TrainerCheckpoints(storage, "models/run/checkpoint", "f" * 64, here)
    for step in (10, 20):
        checkpoint(here, step)
        ours.keep()
    there.mkdir()
    theirs = TrainerCheckpoints(storage, "models/run/checkpoint", "f" * 64, there)
    theirs.bring()
    last = theirs.last()
    assert last is not None
    assert (last[1], [file.read_text() for file in last[0]]) == (20, ["20 data-00000-of-00001", "20 index", "20 meta"])
    assert len(list(storage.list("models/run"))) == 4  # nothing of step 10
    ours.forget()
    assert list(storage.list("models/run")) == []


def test_a_checkpoint_of_another_training_is_not_taken(use_google: None, tmp_path: Path) -> None:
    storage = open_storage(f"gs://{BUCKET}/t2t-others")
    checkpoint(tmp_path / "here", 10)
    TrainerCheckpoints(storage, "models/run/checkpoint", "f" * 64, tmp_path / "here").keep()
    (tmp_path / "there").mkdir()
    other = TrainerCheckpoints(storage, "models/run/checkpoint", "0" * 64, tmp_path / "there")
    other.bring()
    assert other.last() is None
