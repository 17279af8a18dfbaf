"""``fec images build`` as a user gets it wrong: one line that says what to do, and exit code 2."""

from pathlib import Path

import pytest

from pipelines import cli

ROOT = str(Path(__file__).parents[2])


def build(*options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["images", "build", "--build-dir", ROOT, *options])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--registry"),
        (("--registry", "ghcr.io/Me"), "in lower case"),
        (("--registry", "ghcr.io/me", "--only", "serve"), "'data', 'data-faced', 'train', 'train-tpu', 't2t'"),
        (("--registry", "ghcr.io/me", "--engine", "podman"), "'docker', 'cloudbuild'"),
        (("--registry", "ghcr.io/me", "--tag", "a b"), "at most 128 letters"),
        (("--registry", "ghcr.io/me", "--base-image", ""), "--base-image ''"),
        (("--registry", "ghcr.io/me", "--cache-from", "a b"), "--cache-from 'a b'"),
        (("--registry", "ghcr.io/me", "--build-arg", "TENSORFLOW"), "expected NAME=VALUE"),
        (("--registry", "ghcr.io/me", "--sbom", "sbom.json"), "write {name} where"),
        (("--registry", "ghcr.io/me", "--sbom", "/nowhere/{name}.json"), "no such folder"),
        (("--registry", "ghcr.io/me", "--build-dir", "/nowhere"), "name a checkout of the project"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_what_is_asked_wrongly_is_one_line(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(*options) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_without_docker_it_says_what_else_would_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert build("--registry", "ghcr.io/me") == 2
    assert "--engine cloudbuild" in capsys.readouterr().err
