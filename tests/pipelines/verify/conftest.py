"""A whole root, made once by the real steps: both splits, both presets, both layouts; and copies of it to spoil."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.collect import step as collect
from components.datagen import step as datagen
from components.download import step as download
from components.faces import step as faces
from components.plan import step as plan
from fec import presets
from fec.layout import SPLITS
from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve
from tests.fec.conftest import google_emulator, s3_server, use_google, use_s3

__all__ = ["google_emulator", "s3_server", "use_google", "use_s3"]

RECORD_SHARDS = 2


def make(root: Path, split: str, csv: Path) -> None:
    """All of a split up to its records."""
    at = str(root)
    plan.run(plan.Parameters(at, split, str(csv), num_shards=2))
    download.run(download.Parameters(at, split, "0/1", allow_network=("127.0.0.0/8",), attempts=1))
    faces.run(faces.Parameters(at, split, workers=1))
    collect.run(collect.Parameters(at, split, record_shards=RECORD_SHARDS))
    for preset in presets.PRESETS:
        datagen.run(datagen.Parameters(at, split, "0/1", preset=preset, layout="both"))


@pytest.fixture(scope="module", autouse=True)
def small_fec_tiny() -> Iterator[None]:
    """The preset is a part of what this small web has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "fec_tiny", presets.Preset("fec_tiny", {"train": 12, "eval": 4}))
        yield


@pytest.fixture(scope="module")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The annotations of each split, once ``whole`` is made."""
    folder = tmp_path_factory.mktemp("annotations")
    return {split: folder / f"{split}.csv" for split in SPLITS}


@pytest.fixture(scope="module")
def whole(small_fec_tiny: None, csvs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify") / "root"
    with serve(scenario(portraits=15, train_triplets=60, eval_triplets=24)) as site:
        for split, written in site.write_csvs(csvs["train"].parent).items():
            written.rename(csvs[split])
            make(root, split, csvs[split])
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "root"))
