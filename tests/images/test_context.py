"""The build context: what .dockerignore picks, packed the same way every time."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from fec.errors import ConfigurationError
from pipelines.image_build.context import context_files, ignored, pack, rules

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "b/a.pyc", False),
        ("**/*.pyc", "a.pyc", True),
        ("**/*.pyc", "b/c/a.pyc", True),
        ("build", "build/lib/x", True),
        ("/build/", "build/lib/x", True),
        ("build", "rebuild", False),
        ("*\n!fec", "fec/a.py", False),
        ("*\n!fec", "tests/a.py", True),
        ("*\n!fec\n**/__pycache__", "fec/__pycache__/a.pyc", True),
        ("!fec\n*", "fec/a.py", True),
        ("a?", "ab", True),
        ("a?", "a/", False),
        ("[ab]x", "bx", True),
        ("# a", "# a", False),
        ("\n  \nx ", "x", True),
    ],
)
def test_the_rules_of_dockerignore(text: str, path: str, expected: bool) -> None:
    assert ignored(path, rules(text)) is expected


def test_the_project_s_context_is_what_images_are_made_of() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in context_files(ROOT)}
    assert {"constraints.txt", "images/data/Dockerfile", "fec/layout.py", "components/plan/step.py"} <= found
    tops = {name.partition("/")[0] for name in found}
    assert tops <= {"LICENSE", "README.md", "components", "constraints.txt", "fec", "images", "pipelines"} | {
        "pyproject.toml",
        "setup.py",
    }
    assert not [name for name in found if "__pycache__" in name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "b").write_text("b")
    (tmp_path / "a").write_text("a")
    (tmp_path / "secret").write_text("s")
    (tmp_path / ".dockerignore").write_text("secret\n.dockerignore\n")
    return tmp_path


def test_the_same_files_pack_to_the_same_bytes(folder: Path) -> None:
    first = pack(folder)
    os.utime(folder / "a", (0, 0))
    (folder / "a").chmod(0o600)
    assert pack(folder) == first


def test_what_is_ignored_is_not_packed(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(folder))) as tar:
        assert tar.getnames() == ["a", "images/b"]


@pytest.mark.parametrize("rule", ["!kept/deep/a", "!kept/deep", "!**/deep", "!kept/*/a"])
def test_what_is_taken_back_is_found_in_a_folder_that_is_left_out(folder: Path, rule: str) -> None:
    (folder / "kept" / "deep").mkdir(parents=True)
    (folder / "kept" / "deep" / "a").write_text("a")
    (folder / "kept" / "b").write_text("b")
    (folder / ".dockerignore").write_text(f"*\n{rule}\n")
    assert [path.relative_to(folder).as_posix() for path in context_files(folder)] == ["kept/deep/a"]


def test_a_folder_without_dockerfiles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder images"):
        pack(tmp_path)
