"""Images by digest, from the build to the compiled pipeline."""

from pathlib import Path
from typing import Any

import pytest

from fec.errors import ConfigurationError
from pipelines import cli
from pipelines.graph.compiled import read_spec
from pipelines.graph.options import CompileOptions
from pipelines.graph.runtime_parameters import declared
from pipelines.image_build.pinned import read_pinned, write_pinned


def reference(name: str) -> str:
    return f"ghcr.io/me/fec-{name}:v1@sha256:{'1' * 64}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "images.json")
    for name in ("data", "train"):
        write_pinned(path, {name: reference(name)})
    return path


def test_what_was_pushed_is_what_runs(file: str) -> None:
    options = CompileOptions(images=file)
    assert options.data_image == reference("data")
    assert options.train_image == options.evaluate_image == reference("train")
    options.check_images()


def test_an_image_that_is_not_in_the_file_comes_from_the_registry_or_is_asked_for(file: str) -> None:
    tpu: dict[str, Any] = {"accelerator": "v5e", "topology": "2x2"}
    assert CompileOptions(images=file, registry="ghcr.io/me", **tpu).train_image == "ghcr.io/me/fec-train-tpu:latest"
    with pytest.raises(ConfigurationError, match="no images"):
        CompileOptions(images=file, **tpu).check_images()
    write_pinned(file, {"train-tpu": reference("train-tpu")})
    assert CompileOptions(images=file, **tpu).train_image == reference("train-tpu")


def test_one_image_given_by_itself_comes_first(file: str) -> None:
    assert CompileOptions(images=file, image=("data=ghcr.io/me/mine:v2",)).data_image == "ghcr.io/me/mine:v2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory; fec images build --push"),
        ("{", "it is no JSON"),
        ("[]", "expected references by name"),
        ('{"serve": "ghcr.io/me/fec-data:v1"}', "one of data"),
        ('{"data": "Not A Name"}', "expected references by name"),
    ],
)
def test_another_file_is_refused_in_one_line(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "images.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        cli.main(["compile", "-o", str(tmp_path / "fec.yaml"), "--images", str(path)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


def test_the_compiled_file_has_them(file: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["compile", "-o", str(tmp_path / "fec.yaml"), "--images", file])
    assert ended.value.code == 0
    form = declared(read_spec(tmp_path / "fec.yaml"))
    images = {name: form[f"{name}_image"].default for name in ("data", "train", "evaluate")}
    assert images == {"data": reference("data"), "train": reference("train"), "evaluate": reference("train")}
    assert read_pinned(file) == {name: reference(name) for name in ("data", "train")}


def test_digests_come_of_a_push_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["images", "build", "--registry", "ghcr.io/me", "--images", "images.json"])
    assert ended.value.code == 2
    assert "--images without --push" in capsys.readouterr().err
