"""The options of all steps as they travel together: what is taken, and what is told before anything is fetched."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.faces.detectors import load
from components.faces.parameters import DETECTORS
from components.options import STEPS, checked, names, parameters_of
from components.plan.component import plan
from components.train.models import MODELS as NETWORKS
from components.train.parameters import MODELS
from fec.errors import ConfigurationError
from fec.parameters import fields, promoted
from fec.record_families import LAYOUTS


def test_every_folder_of_components_is_a_step() -> None:
    folder = Path(__file__).parents[2] / "components"
    assert sorted(path.parent.name for path in folder.glob("*/parameters.py")) == sorted(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_an_option_travels_or_has_a_field_of_its_own(step: str) -> None:
    parameters = parameters_of(step)
    assert parameters.step == step
    assert sorted((*names(step), *promoted(parameters))) == sorted(field.name for field in fields(parameters))


def test_values_get_their_types() -> None:
    given = {"faces": {"crop_quality": "90"}, "download": {"timeout": 5, "user_agent": "me"}}
    assert checked(given) == {"faces": {"crop_quality": 90}, "download": {"timeout": 5.0, "user_agent": "me"}}
    assert json.loads(json.dumps(checked(given))) == checked(given)
    assert checked({}) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"face": {}}, "there is no step 'face'; did you mean faces?"),
        (
            {"faces": {"crop_qualty": 90}},
            "there is no option 'crop_qualty'; did you mean crop_quality?",
        ),
        ({"faces": {"detector": "yunet"}}, "options of faces: detector is a parameter of the run of its own"),
        ({"faces": {"crop_quality": 900}}, "options of faces: crop_quality 900: expected between 1 and 100"),
        ({"faces": {"crop_quality": "high"}}, "crop_quality 'high': expected a whole number"),
        ({"faces": 3}, "options of faces 3: expected an object"),
        (["faces"], "expected"),
        ({"datagen": {"layout": "both!"}}, f"expected one of {', '.join(LAYOUTS)}; did you mean both?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words.replace("?", r"\?")) as error:
        checked(options)
    assert "\n" not in str(error.value)


def test_plan_tells_a_mistake_in_another_steps_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plan.python_func(
            root=str(tmp_path / "root"),
            split="train",
            annotations=str(tmp_path / "none.csv"),
            options={"faces": {"crop_qualty": 90}},
        )
    assert ended.value.code == 2
    assert "did you mean crop_quality?" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def test_the_names_that_are_known_without_the_libraries_are_those_of_the_code() -> None:
    assert set(MODELS) == set(NETWORKS)
    for name in DETECTORS:
        if name != "faced":  # which has no weights here
            assert load(name).name == name
