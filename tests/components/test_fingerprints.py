"""A parameter that shapes a result changes what the step marks it with, so that it is made again; no other does."""

import dataclasses
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

from components.options import parameters_of
from fec import layout
from fec.done import read_done
from fec.parameters import fields, rules_of
from fec.storage import open_storage
from tests.components.results import SPLIT, made_root

# As made_root runs the steps, where that is not the default.
AS_MADE: Final[dict[str, dict[str, Any]]] = {
    "plan": {"num_shards": 2},
    "faces": {},
    "collect": {"triplets_per_record_shard": 30},
    "datagen": {"image_size": 32, "layout": "both"},
}
# Where the rest follows from, and what no test can have here.
LEFT_OUT: Final = {"root", "split", "group", "annotations"}
OTHER: Final[dict[tuple[str, str], Any]] = {("plan", "max_shards"): 1, ("faces", "min_confidence"): 0.8}
# No weights of faced here, no eval, and no list to hold the split to (what it lists counts, not where it lies).
UNUSABLE: Final = {("faces", "detector"), ("collect", "drop_leaks"), ("collect", "subset")}


def another(step: str, field: dataclasses.Field[Any]) -> Any:
    """A value that is neither the default nor what made_root ran the step with."""
    if (step, field.name) in OTHER:
        return OTHER[step, field.name]
    value, rules = AS_MADE[step].get(field.name, field.default), rules_of(field)
    if rules.choices:
        return next(choice for choice in rules.choices if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value * 0.9
    return value - 1 if isinstance(value, int) and value > 1 else value + 1 if isinstance(value, int) else "another"


def cases() -> Iterator[Any]:
    for step in AS_MADE:
        for field in fields(parameters_of(step)):
            if field.name not in LEFT_OUT and (step, field.name) not in UNUSABLE:
                yield pytest.param(step, field, id=f"{step}-{field.name}")


def fingerprints(root: Path, step: str) -> set[str]:
    """What the step's markers hold that stands for its inputs and parameters."""
    folder = {
        "plan": layout.plan_dir(SPLIT),
        "faces": SPLIT,
        "collect": layout.collect_dir(SPLIT),
        "datagen": "records/_done",
    }[step]
    directories = [str(path.parent.relative_to(root)) for path in (root / folder).rglob(layout.DONE)]
    markers = [read_done(open_storage(str(root)), directory) for directory in directories]
    return {done.fingerprint for done in markers if done is not None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(made_root(tmp_path_factory.mktemp("made")))


@pytest.mark.parametrize(("step", "field"), [*cases()])
def test_a_parameter_is_in_the_fingerprint_if_it_shapes_the_result(
    step: str, field: dataclasses.Field[Any], made: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(made, root)
    values = {"root": str(root), "split": SPLIT} | AS_MADE[step] | {field.name: another(step, field)}
    if step == "plan":
        values["annotations"] = str(made.parent / "list.csv")
    module = import_module(f"components.{step}.step")
    before = fingerprints(root, step)
    module.run(module.Parameters(**values))
    after = fingerprints(root, step)
    assert before
    if rules_of(field).shapes_result:
        assert after - before
    else:
        assert after == before or (step, field.name) == ("datagen", "layout")  # the same files, or fewer
