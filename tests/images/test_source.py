"""What an image is called and what its labels say."""

import re
import subprocess
from pathlib import Path

import pytest

from fec.errors import ConfigurationError
from pipelines.image_build.source import generate_image_tag, image_name, read_source, reference


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "fec"\nversion = "1.2.3"\n')
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first", "--date", "2020-01-01T00:00:00Z")
    return tmp_path


def test_a_tag_is_the_registry_the_name_and_the_revision(checkout: Path) -> None:
    revision = git(checkout, "rev-parse", "HEAD")
    assert generate_image_tag("ghcr.io/me", "data", checkout) == f"ghcr.io/me/fec-data:{revision[:12]}"


def test_a_changed_checkout_is_marked_dirty(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text('[project]\nname = "fec"\nversion = "2"\n')
    assert re.fullmatch(r"r/fec-train:[0-9a-f]{12}-dirty-[0-9a-f]{8}", generate_image_tag("r", "train", checkout))


def test_different_changes_have_different_tags(checkout: Path) -> None:
    (checkout / "new.py").write_text("one")
    one = generate_image_tag("r", "data", checkout)
    (checkout / "new.py").write_text("two")
    assert generate_image_tag("r", "data", checkout) != one


def test_what_git_ignores_leaves_a_checkout_clean(checkout: Path) -> None:
    (checkout / "ignored").write_text("anything")
    assert "dirty" not in generate_image_tag("r", "data", checkout)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"not a git repository.*images are built from a git checkout"):
        generate_image_tag("r", "data", tmp_path)


@pytest.mark.parametrize("registry", ["Upper.case/x", "https://ghcr.io/me", "ghcr.io/me/x y", ""])
def test_a_registry_no_engine_takes_is_refused(registry: str) -> None:
    with pytest.raises(ConfigurationError, match="registry"):
        reference(registry, "data", "1")


def test_a_tag_no_engine_takes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tag 'a/b'"):
        reference("ghcr.io/me", "data", "a/b")


def test_the_name_can_be_read_back(checkout: Path) -> None:
    assert image_name(generate_image_tag("localhost:5000/me", "train-tpu", checkout)) == "train-tpu"


def test_created_is_source_date_epoch(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert read_source(checkout).created == "1970-01-02T00:00:00Z"


def test_created_is_else_the_time_of_the_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    seconds = int(git(checkout, "show", "-s", "--format=%ct", "HEAD"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))
    expected = read_source(checkout).created
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert read_source(checkout).created == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://github.com/me/fec.git", "https://github.com/me/fec"),
        ("https://me:secret@github.com/me/fec", "https://github.com/me/fec"),
        ("git@github.com:me/fec.git", "https://github.com/me/fec"),
        ("ssh://git@github.com/me/fec.git", "https://github.com/me/fec"),
        ("/some/folder", ""),
    ],
)
def test_the_source_is_the_origin_without_secrets(checkout: Path, origin: str, expected: str) -> None:
    git(checkout, "remote", "add", "origin", origin)
    source = read_source(checkout)
    assert (source.url, source.version) == (expected, "1.2.3")
