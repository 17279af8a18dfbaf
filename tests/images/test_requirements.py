"""What the images install is what the steps import, and is pinned."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA_STEPS = ("plan", "download", "faces", "collect", "datagen", "summarize")
TRAIN_STEPS = ("train", "evaluate")
# t2t has pins of its own, beside its Dockerfile.
# Comes with what is listed.
IMPLIED = {"botocore": "boto3", "s3transfer": "boto3", "requests": "google-cloud-storage"}
# What does without: two need TensorFlow or keras-hub, and say so, a choice for those who build an image of their own;
# one draws for a person at a terminal, who without it reads the log.
OPTIONAL = (
    ROOT / "components" / "faces" / "detectors" / "faced.py",
    ROOT / "components" / "train" / "presets.py",
    ROOT / "fec" / "terminal.py",
)
LISTS = sorted(path for path in ROOT.glob("images/*/requirements*.txt") if path.parent.name != "t2t")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(lines: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.lstrip().startswith("#"))
    return {canonical(match[0]) for match in found if match}


def required(image: str) -> set[str]:
    return names([line for path in LISTS if path.parent.name == image for line in path.read_text().splitlines()])


def imported(folder: Path) -> set[str]:
    modules: set[str] = set()
    for file in folder.rglob("*.py"):
        if "t2t" in file.relative_to(ROOT).as_posix() or file.name == "component.py" or file in OPTIONAL:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def distributions(modules: set[str]) -> set[str]:
    """The distributions that modules of others come from; namespace packages by their longest known name."""
    known = packages_distributions()
    special = {"google.cloud.storage": "google-cloud-storage", "google.cloud.devtools": "google-cloud-build"}
    found = set()
    for module in modules:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("fec", "components", "pipelines", "kfp"):
            continue
        if top == "google":
            found |= {name for prefix, name in special.items() if module.startswith(prefix)}
        else:
            found |= {canonical(name) for name in known.get(top, [top])[:1]}
    return {IMPLIED.get(name, name) for name in found}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_list_is_a_subset_of_the_project_s_requirements_and_pinned(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = names([*project["dependencies"], *extras["s3"], *extras["train"]]) | {"keras", "tensorflow-tpu"}
    listed = names(path.read_text().splitlines())
    assert listed
    assert listed <= ours
    assert listed <= names((ROOT / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize(
    ("image", "steps"),
    [
        ("data", DATA_STEPS),
        ("train", TRAIN_STEPS),
        ("train-tpu", TRAIN_STEPS),
    ],
)
def test_an_image_installs_what_its_steps_import(image: str, steps: tuple[str, ...]) -> None:
    modules = imported(ROOT / "fec").union(*(imported(ROOT / "components" / step) for step in steps))
    installed = required(image) | {"kfp"} | ({"tensorflow"} if image.startswith("train") else set())
    installed |= {"jax"}  # an option of training, which says so where it is not there
    assert distributions(modules) <= installed


@pytest.mark.parametrize("image", ["data"])
def test_no_tensorflow_where_images_are_fetched(image: str) -> None:
    assert not {name for name in required(image) if "tensorflow" in name or "keras" in name}


def test_every_pin_is_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=<>]+", line)]


def test_the_tpu_image_has_the_tensorboard_that_its_tensorflow_asks_for() -> None:
    """tensorflow-tpu 2.20.0 requires tensorboard~=2.20.0; pip would refuse that of the other images."""
    pinned = re.search(r"^tensorflow-tpu==(\d+\.\d+)\.", (ROOT / "constraints.txt").read_text(), re.M)
    changed = re.search(
        r"s/\^tensorboard==\.\*/tensorboard==(\d+\.\d+)\.", (ROOT / "images/train-tpu/Dockerfile").read_text()
    )
    assert pinned and changed and pinned[1] == changed[1]
