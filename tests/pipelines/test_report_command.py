"""``fec report``: the page again, and one line where there is none to be made."""

import importlib.util
from pathlib import Path

import pytest

from components.evaluate import step
from components.evaluate.parameters import Parameters
from fec.errors import ConfigurationError
from pipelines.cli import parser

RUN = "tiny-1"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a run and the marker of its report."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for path in (f"models/{RUN}/model.keras", f"reports/{RUN}/_DONE.json"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("{}")
    return tmp_path


def report(*arguments: str | Path) -> int:
    options = parser(["report"]).parse_args(["report", *map(str, arguments)])
    code: int = options.run(options)
    return code


def test_the_evaluation_is_asked_again_without_its_marker(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Parameters] = []

    def evaluated(parameters: Parameters) -> str:
        assert not (root / "reports" / RUN / "_DONE.json").exists()
        asked.append(parameters)
        return "report.html"

    monkeypatch.setattr(step, "run", evaluated)
    assert report(root, "--set", "evaluate.batch_size=7") == 0
    assert (asked[0].run, asked[0].batch_size) == (RUN, 7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "../x"], "name of a folder"),
        (["--run", "other"], "no finished training of that name"),
        (["--set", "train.margin=1"], "options of evaluate alone"),
        (["--set", "evaluate.btach_size=1"], "did you mean batch_size"),
    ],
)
def test_what_cannot_be_reported_is_one_line(root: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        report(root, *arguments)
