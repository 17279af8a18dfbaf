"""fec probe: what an embedding knows is found, and only on people the probe has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.drawn_faces import Regime, write_faces
from fec.errors import ConfigurationError
from pipelines.cli import main
from pipelines.embedding.embedder import Embedder, load_embedder
from pipelines.folders.pictures import Picture, pictures_of
from pipelines.probing import Features, Probe, features_of, probes

LABELS = ("glad", "sad", "wry")


def people(count: int, pictures: int) -> list[Picture]:
    return [
        Picture(Path(f"{person}_{n}.png"), LABELS[n % 3], f"p{person}", "")
        for person in range(count)
        for n in range(pictures)
    ]


def probed(pictures: list[Picture], embeddings: NDArray[np.float64], subjects_known: bool = True) -> dict[str, Probe]:
    noise = np.random.default_rng(1).normal(size=(len(pictures), 4))
    return {one.name: one for one in probes(Features(pictures, embeddings, noise), subjects_known)}


def test_an_embedding_of_the_class_alone_knows_the_class_and_nobody() -> None:
    pictures = people(10, 6)
    places = np.eye(3)[[LABELS.index(picture.label) for picture in pictures]]
    found = probed(pictures, places + np.random.default_rng(0).normal(0, 0.01, places.shape))
    assert found["expression, linear"].accuracy == found["expression, 5 nearest"].accuracy == 1.0
    assert found["who it is, linear"].accuracy < 0.3
    assert found["expression, linear"].chance == pytest.approx(1 / 3)
    assert found["expression, linear"].pixels < 0.6


def test_an_embedding_of_people_knows_who_it_is_and_no_expression() -> None:
    pictures = people(10, 6)
    places = np.eye(10)[[int(picture.subject[1:]) for picture in pictures]]
    found = probed(pictures, places + np.random.default_rng(0).normal(0, 0.01, places.shape))
    assert found["who it is, linear"].accuracy == 1.0
    assert found["expression, linear"].accuracy < 0.5


def test_a_probe_is_never_asked_of_somebody_it_was_fitted_on() -> None:
    """Everybody shows one expression only: who knows the person would know the answer."""
    pictures = [Picture(Path(f"{n}.png"), LABELS[n % 12 % 3], f"p{n % 12}", "") for n in range(120)]
    places = np.eye(12)[[n % 12 for n in range(120)]]
    assert probed(pictures, places)["expression, 5 nearest"].accuracy < 0.5


def test_without_subjects_nobody_is_named() -> None:
    pictures = [Picture(Path(f"{n}.png"), LABELS[n % 3], f"{n}", "") for n in range(30)]
    assert set(probed(pictures, np.eye(30), subjects_known=False)) == {"expression, linear", "expression, 5 nearest"}


def test_one_subject_is_too_few() -> None:
    with pytest.raises(ConfigurationError, match="3 classes of 1 subjects"):
        probed(people(1, 6), np.eye(6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    write_faces(folder, Regime(people=5, pictures=4, noise=6, jitter=0.4, mislabelled=0.0))
    cut = next((folder / "anger").glob("*.png"), None) or next(folder.rglob("*.png"))
    (folder / "fear" / "S00000_9.png").write_bytes(cut.read_bytes()[:50])
    return folder


def ended(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["probe", *map(str, arguments)])
    return int(end.value.code or 0)


def test_the_command_probes_a_run_of_a_root(root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture that is cut short is left out."""
    assert ended(root / "models" / "untrained", "--images", folder, "--subjects", "^(S[0-9]+)_", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert set(found) == {"expression, linear", "expression, 5 nearest", "who it is, linear"}
    assert found["expression, linear"]["count"] == 20


def test_pictures_are_probed_by_what_a_mirrored_model_makes_of_them(
    mirrored_model: Path, embedder: Embedder, folder: Path
) -> None:
    pictures = [picture for picture in pictures_of(folder) if picture.path.name != "S00000_9.png"][:3]
    found = features_of(load_embedder(mirrored_model), pictures).embeddings
    plain = features_of(embedder, pictures).embeddings
    assert found.shape == plain.shape
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert not np.allclose(found, plain, atol=1e-3)


@pytest.mark.slow
def test_the_command_probes_a_mirrored_model(
    mirrored_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(mirrored_model, "--images", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["expression, linear"]["count"] == 20


def test_a_folder_of_another_form_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(tmp_path, "--images", tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
