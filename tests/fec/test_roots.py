"""A root has one spelling, whatever was typed, and says itself of which kind it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from components.form import RunParameters, for_pipeline
from fec.errors import ConfigurationError
from fec.storage import is_local, normalized_root, open_storage
from pipelines.local import containers
from pipelines.local.run_folder import run_folder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the user, who stands in its folder ``here``; ``link`` beside it leads to ``data``."""
    home = tmp_path.resolve() / "home"
    (home / "here").mkdir(parents=True)
    (home / "data").mkdir()
    (home / "link").symlink_to(home / "data")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "here")
    return home


FOLDERS = [
    ("~", ""),
    ("~/data", "data"),
    ("~/data/", "data"),
    ("~/./data//", "data"),
    ("~/here/../data", "data"),
    ("../data", "data"),
    ("data", "here/data"),
    ("./data", "here/data"),
    (".", "here"),
    ("~/link", "data"),
    ("~/link/run", "data/run"),
    ("~/not/there/yet/", "not/there/yet"),
    ("a~b", "here/a~b"),
    ("./~", "here/~"),
    ("{home}/data/", "data"),
    ("//{home}/data", "data"),
]


@pytest.mark.parametrize(("typed", "meant"), FOLDERS)
def test_a_folder_has_one_spelling(home: Path, typed: str, meant: str) -> None:
    typed, meant = typed.replace("//{home}", f"/{home}/").format(home=home), str(home / meant)
    assert normalized_root(typed) == meant
    assert is_local(typed)
    assert open_storage(typed).root == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gs://bucket", "gs://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("gs://bucket/a/b/", "gs://bucket/a/b"),
        ("gs://bucket//a//", "gs://bucket/a"),
        ("s3://bucket/a//b", "s3://bucket/a//b"),
        ("s3://bucket/~/..", "s3://bucket/~/.."),
    ],
)
def test_a_remote_root_has_one_spelling(typed: str, meant: str) -> None:
    assert normalized_root(typed) == meant
    assert not is_local(typed)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "root is empty"),
        ("  ", "root is empty"),
        ("~nobody-of-this-name/x", "nobody-of-this-name|home directory"),
        ("a\0b", "null"),
        ("gs://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("GS://bucket", "GS:// is not supported"),
        ("file:///data", "file:// is not supported"),
    ],
)
def test_what_is_no_root_is_one_line(typed: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        normalized_root(typed)
    assert "\n" not in str(raised.value)


def test_a_run_holds_one_folder_for_every_spelling(home: Path) -> None:
    folders = set()
    for typed in ("~/data", "../data/", "~/link", f"{home}/data"):
        with run_folder(typed) as held:
            folders.add(held.path)
    assert len(folders) == 1


def test_the_pipeline_is_given_the_root_s_one_spelling(home: Path) -> None:
    given = for_pipeline(RunParameters(train_csv="t.csv", eval_csv="e.csv", root="~/link"))
    assert given["root"] == str(home / "data")


def test_containers_see_the_folder_that_was_meant(home: Path) -> None:
    given = {"root": "~/link", "train_csv": "~/data/t.csv", "eval_csv": "e.csv", "detector_weights": "~/weights"}
    absolute, seen = containers.on_this_machine(given, "d", "t")
    assert absolute["root"] == str(home / "data")
    assert seen.written == (str(home / "data"),)
    assert seen.read == (str(home / "here/e.csv"), str(home / "weights"))


def test_only_the_storage_knows_its_kinds() -> None:
    """No module outside fec/storage asks a storage for its class, or takes a root apart."""
    for layer in ("fec", "components", "pipelines"):
        for path in (REPOSITORY / layer).rglob("*.py"):
            inside = path.relative_to(REPOSITORY).as_posix()
            # Two take URLs apart, which are no roots: where annotations come from, and images. One says what was meant
            # by a root that is none.
            if inside.startswith(("fec/storage/", "fec/annotations_source.py", "components/download/urls.py")):
                continue
            if inside == "components/placement.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.Name) and node.id == "LocalStorage"), inside
                assert not (isinstance(node, ast.Constant) and node.value == "://"), inside
