"""Every recipe is one that can be run as it says, and the command line counts more than a recipe."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from components.form import RunParameters, for_pipeline
from components.options import parameters_of
from components.train.parameters import IMAGE_SIZES
from components.train.parameters import Parameters as Train
from fec import command
from fec.parameters import made
from pipelines.cli import parser
from pipelines.local.recipes import read
from tests.docs.fences import REPOSITORY
from tests.docs.test_pages import understood

CONFIGS = sorted((REPOSITORY / "configs").iterdir())
DATA = ["--train-csv", "t.csv", "--eval-csv", "e.csv", "--root", "r"]


def run_with(*words: str) -> RunParameters:
    return command.parameters_from(RunParameters, parser(["run"]).parse_args(["run", *words, *DATA]))


def test_there_are_recipes() -> None:
    assert [path.stem for path in CONFIGS] == ["cpu-tiny", "gpu-base", "gpu-fecnet", "tpu-fecnet"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_is_what_a_run_takes(path: Path) -> None:
    given = for_pipeline(run_with("--config", str(path)))
    of_train = {name: value for (step, name), value in read(path).items() if step == "train"}
    assert given["model"] == of_train["model"]
    assert given["options"]["train"]["device"] == of_train["device"]
    assert given["image_size"] == IMAGE_SIZES.get(given["model"], given["image_size"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_commands_a_recipe_names_ask_for_what_it_says(path: Path) -> None:
    page = path.read_text()
    assert re.search(r"^# Cost: ", page, re.MULTILINE)
    assert re.search(r"^# Expect: ", page, re.MULTILINE)
    whole, alone = (shlex.split(line.lstrip("# ")) for line in re.findall(r"^#   \S.*", page, re.MULTILINE))
    understood([word.replace("configs/", f"{REPOSITORY}/configs/") for word in whole])
    options = command.parser_for(parameters_of("train"), "train", "").parse_args(alone[3:])
    asked = command.parameters_from(Train, options)
    named = {name: value for (step, name), value in read(path).items() if step == "train"}
    written = made(Train, {"root": "ROOT", **named})
    changed = {name: value for name, value in vars(asked).items() if value != getattr(Train(root="ROOT"), name)}
    for name, value in named.items():
        assert getattr(asked, name) == value, name
    assert set(changed) - {"backbone_weights", "ema"} <= set(named)
    assert vars(written).keys() == vars(asked).keys()


def test_the_command_line_counts_more(tmp_path: Path) -> None:
    recipe = tmp_path / "r.json"
    recipe.write_text('{"train": {"steps": 7, "batch_size": 5, "ema": 0.5}, "datagen": {"jpeg_quality": 80}}')
    given = run_with("--config", str(recipe), "--train-steps", "9", "--set", "train.ema=0.25")
    assert (given.train_steps, given.batch_size) == (9, 5)
    assert for_pipeline(given)["options"] == {"train": {"ema": 0.25}, "datagen": {"jpeg_quality": 80}}


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ('{"train": {"stepz": 1}}', [], "did you mean steps"),
        ('{"trian": {}}', [], "did you mean train"),
        ('{"train": {"root": "x"}}', [], "no option 'root'"),
        ('{"train": {"steps": "many"}}', [], "a whole number"),
        ('{"train": 1}', [], "a table a step"),
        ("{", [], "Expecting"),
        ("{}", ["--train-steps", "9"], "give it before --train-steps"),
    ],
)
def test_a_recipe_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: list[str], said: str
) -> None:
    recipe = tmp_path / "r.json"
    recipe.write_text(content)
    with pytest.raises(SystemExit) as ended:
        run_with(*words, "--config", str(recipe))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
