"""What can be asked of a step, said once: checks, conversion, and what the fingerprint covers."""

from dataclasses import dataclass

import pytest

from fec.errors import ConfigurationError
from fec.parameters import (
    Checked,
    StepParameters,
    WrongValue,
    converted,
    like,
    made,
    nested,
    parameter,
    promoted,
    refuse_folder_name,
    with_options,
)


def refuse_odd(number: int) -> str:
    return "expected an even number" if number % 2 else ""


@dataclass(frozen=True)
class Parameters(StepParameters, step="bake", version=3):
    root: str = parameter("where", shapes_result=False, promoted=True)
    oven: str = parameter("which", default="gas", choices=("gas", "electric"), promoted=True)
    share: float = parameter("how much", default=0.5, more_than=0, at_most=1)
    loaves: int = parameter("how many", default=2, at_least=1, refuse=refuse_odd)
    flours: tuple[str, ...] = parameter("of what", default=())
    quick: bool = parameter("or slow", default=False)
    limit: int | None = parameter("none without", default=None, at_least=1)
    workers: int = parameter("hands", default=1, at_least=1, at_most=8, shapes_result=False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"oven": "gass"}, "oven 'gass': expected one of gas, electric; did you mean gas?"),
        ({"share": 0.0}, "share 0.0: expected above 0 and at most 1"),
        ({"share": 1.5}, "share 1.5: expected above 0 and at most 1"),
        ({"share": float("nan")}, "share nan: expected above 0 and at most 1"),
        ({"share": float("inf")}, "share inf: expected above 0 and at most 1"),
        ({"loaves": 0}, "loaves 0: expected at least 1"),
        ({"loaves": 3}, "loaves 3: expected an even number"),
        ({"loaves": True}, "loaves True: expected a whole number"),
        ({"loaves": "2"}, "loaves '2': expected a whole number"),
        ({"workers": 9}, "workers 9: expected between 1 and 8"),
        ({"limit": 0}, "limit 0: expected at least 1"),
        ({"quick": 1}, "quick 1: expected true or false"),
        ({"flours": ["rye"]}, r"flours \['rye'\]: expected a list"),
    ],
)
def test_a_value_that_its_rules_refuse_cannot_be(values: dict[str, object], words: str) -> None:
    with pytest.raises(WrongValue, match=words):
        Parameters(root="r", **values)  # type: ignore[arg-type]


def test_the_limits_themselves_are_allowed() -> None:
    made_at_the_limits = Parameters(root="r", share=1.0, loaves=2, workers=8, limit=1)
    assert made_at_the_limits.share == 1.0
    assert Parameters(root="r", share=1).share == 1  # a whole number is a number
    assert Parameters(root="r", limit=None).limit is None


def test_the_fingerprint_covers_all_but_what_is_said_not_to_matter() -> None:
    assert Parameters(root="r", workers=4).settings == {
        "step": "bake",
        "version": 3,
        "oven": "gas",
        "share": 0.5,
        "loaves": 2,
        "flours": (),
        "quick": False,
        "limit": None,
    }


def test_a_field_is_said_again_with_another_name_and_default() -> None:
    @dataclass(frozen=True)
    class Form(Checked):
        bread_oven: str = like(Parameters, "oven", default="electric")
        hands: int = like(Parameters, "workers", at_most=2)

    assert Form().bread_oven == "electric"
    with pytest.raises(ConfigurationError, match="bread_oven 'coal': expected one of gas, electric"):
        Form(bread_oven="coal")
    with pytest.raises(ConfigurationError, match="hands 3: expected between 1 and 2"):
        Form(hands=3)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("loaves", "4", 4),
        ("loaves", 4.0, 4),  # kfp.local gives the numbers of a JSON object as floats
        ("flours", "rye,wheat", ("rye", "wheat")),
        ("flours", ["rye"], ("rye",)),
        ("quick", "true", True),
        ("quick", "False", False),
        ("limit", None, None),
        ("limit", "7", 7),
    ],
)
def test_text_and_json_become_the_fields_type(name: str, given: object, value: object) -> None:
    found = converted(Parameters, name, given)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("loaves", "4.5", "loaves '4.5': expected a whole number"),
        ("loaves", 4.5, "loaves 4.5: expected a whole number"),
        ("loaves", True, "loaves True: expected a whole number"),
        ("share", "much", "share 'much': expected a number"),
        ("quick", "yes", "quick 'yes': expected true or false"),
        ("oven", 3, "oven 3: expected text"),
        ("flours", 3, "flours 3: expected a list"),
    ],
)
def test_what_is_of_another_type_is_said(name: str, given: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        converted(Parameters, name, given)


def test_a_misspelled_name_is_told_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no option 'loafs'; did you mean loaves\?"):
        made(Parameters, {"root": "r", "loafs": 2})


def test_a_step_takes_its_own_of_all_steps_options() -> None:
    options: dict[str, dict[str, object]] = {"bake": {"share": 0.75, "quick": True}, "mix": {"speed": 3}}
    given = with_options(Parameters, options, root="r", oven="electric")
    assert given == Parameters(root="r", oven="electric", share=0.75, quick=True)
    assert with_options(Parameters, {}, root="r") == Parameters(root="r")
    assert promoted(Parameters) == ["root", "oven"]


def test_words_become_options_by_step() -> None:
    words = ["bake.share=0.5", "bake.share=0.7", "mix.how-long=a=b"]
    assert nested(words) == {"bake": {"share": "0.7"}, "mix": {"how_long": "a=b"}}
    for word in ("bake", "bake.share", "share=1", ".share=1", "bake.=1"):
        with pytest.raises(ConfigurationError, match=r"expected STEP\.OPTION=VALUE"):
            nested([word])


@pytest.mark.parametrize(
    ("name", "good"),
    [("a-run.1", True), ("", False), ("-run", False), ("a/b", False), ("x" * 253, True), ("x" * 254, False)],
)
def test_a_run_is_named_as_a_folder_can_be(name: str, good: bool) -> None:
    assert (refuse_folder_name(name) == "") is good
