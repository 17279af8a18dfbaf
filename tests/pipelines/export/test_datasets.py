"""What an export writes is read back by the libraries it is for."""

import csv
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

import fec
from components.form import RunParameters
from fec.errors import ConfigurationError
from fec.subsets import parse
from pipelines.cli import parser
from pipelines.commands import run
from pipelines.export import datasets as exported
from tests.fec.dataset_root import SIZE, make_root

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

# datasets (metadata.csv) and webdataset (the shards) close files when they are collected.
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def load_dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    from datasets import load_dataset

    cache = tmp_path_factory.mktemp("cache")
    return lambda *given, **more: load_dataset(*given, **more, cache_dir=str(cache))


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a test's libraries have left open is closed while that test is blamed for it."""
    yield
    gc.collect()


def export(*arguments: str | Path) -> int:
    options = parser(["export"]).parse_args(["export", *map(str, arguments)])
    code: int = options.run(options)
    return code


def surviving(root: Path, split: str) -> list[dict[str, Any]]:
    table = fec.open(str(root)).triplets.arrow
    rows: list[dict[str, Any]] = table.filter(pc.and_(table["survived"], pc.equal(table["split"], split))).to_pylist()
    return rows


def test_parquet_is_read_by_datasets(
    root: Path, tmp_path: Path, load_dataset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported, "FACES_A_FILE", 4)
    assert export(root, "--to", "parquet", "-o", tmp_path / "out") == 0
    faces, triplets = (load_dataset(str(tmp_path / "out"), name) for name in ("faces", "triplets"))
    for split in ("train", "eval"):
        wanted = surviving(root, split)
        assert [row["line"] for row in triplets[split]] == [row["line"] for row in wanted]
        assert [row["votes"] for row in triplets[split]] == [row["votes"] for row in wanted]
        ids = {row["face_id"] for row in faces[split]}
        assert ids == {row[name] for row in wanted for name in ("face_a", "face_b", "face_c")}
        assert {row["image"].size for row in faces[split]} == {(SIZE, SIZE)}
    assert len(list((tmp_path / "out" / "faces").glob("train-*.parquet"))) > 1


@LEAVES_FILES_OPEN
def test_a_folder_of_pictures_is_read_by_datasets(root: Path, tmp_path: Path, load_dataset: Callable[..., Any]) -> None:
    assert export(root, "--to", "imagefolder", "-o", tmp_path / "out") == 0
    faces = load_dataset("imagefolder", data_dir=str(tmp_path / "out" / "train"), split="train")
    wanted = surviving(root, "train")
    assert {row["face_id"] for row in faces} == {row[n] for row in wanted for n in ("face_a", "face_b", "face_c")}
    assert faces[0]["image"].size == (SIZE, SIZE)
    with (tmp_path / "out" / "triplets-train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["line"]), int(row["odd_one_out"])) for row in rows] == [
        (row["line"], row["odd_one_out"]) for row in wanted
    ]


@LEAVES_FILES_OPEN
def test_shards_are_read_by_webdataset(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import webdataset

    monkeypatch.setattr(exported, "TRIPLETS_A_SHARD", 7)
    assert export(root, "--to", "webdataset", "-o", tmp_path / "out") == 0
    wanted = surviving(root, "eval")
    shards = sorted(map(str, (tmp_path / "out").glob("eval-*.tar")))
    assert len(shards) == -(-len(wanted) // 7)
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [sample["json"]["line"] for sample in samples] == [row["line"] for row in wanted]
    dataset = fec.open(str(root))
    for sample in samples:
        for letter in "abc":
            crop = dataset.crop(sample["json"][f"face_{letter}"])
            assert sample[f"{letter}.jpg"].tobytes() == crop.tobytes()


def test_an_export_that_fails_leaves_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "TERMS", None)
    with pytest.raises(TypeError):
        export(root, "--to", "imagefolder", "-o", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "output", "words"),
    [
        ("root", "full", "it is there already"),
        ("root", "full/file", "it is there already"),
        ("root", "full/file/x", "Not a directory|File exists"),
        ("nowhere", "new", "no such folder"),
        ("full", "new", "holds no dataset"),
    ],
)
def test_an_export_that_cannot_be_is_one_line(root: Path, tmp_path: Path, what: str, output: str, words: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match=words):
        export(root if what == "root" else tmp_path / what, "--to", "parquet", "-o", tmp_path / output)
    assert (tmp_path / "full" / "file").read_text() == "mine"


def test_a_root_without_triplets_says_what_to_do(root: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(root, tmp_path / "root"))
    shutil.rmtree(copy / "collect")
    with pytest.raises(ConfigurationError, match="no collected triplets yet"):
        export(copy, "--to", "parquet", "-o", tmp_path / "out")


def test_an_unknown_format_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export("x", "--to", "hdf5", "-o", "y")
    assert "webdataset" in capsys.readouterr().err


def test_a_list_of_what_survived_names_it_and_no_picture(root: Path, tmp_path: Path) -> None:
    options = parser(["subset"]).parse_args(["subset", str(root), "-o", str(tmp_path / "list.csv")])
    assert options.run(options) == 0
    subset = parse((tmp_path / "list.csv").read_bytes(), "list")
    for split in ("train", "eval"):
        rows = surviving(root, split)
        assert subset.of(split) == {f"{row['face_a']} {row['face_b']} {row['face_c']}" for row in rows}
    with (tmp_path / "list.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    originals = {row["sha256"] for row in fec.open(str(root)).images.arrow.to_pylist()}
    assert {first[name] for name in ("sha256_a", "sha256_b", "sha256_c")} <= originals


def test_a_run_held_to_a_list_hands_it_to_collect(root: Path, tmp_path: Path) -> None:
    options = parser(["subset"]).parse_args(["subset", str(root), "-o", str(tmp_path / "list.csv")])
    options.run(options)
    asked = RunParameters("t.csv", "e.csv", "root", options={"collect": {"alike": 3}})
    held = run._held_to(str(tmp_path / "list.csv"), asked)
    assert held.options == {"collect": {"alike": 3, "subset": str(tmp_path / "list.csv")}}
    with pytest.raises(ConfigurationError, match="no such file"):
        run._held_to(str(tmp_path / "none.csv"), asked)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_tensorflow_datasets_reads_faces_and_triplets(root: Path, tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    assert export(root, "--to", "tfds", "--output", tmp_path / "out") == 0
    triplets = tfds.as_numpy(tfds.builder_from_directory(str(tmp_path / "out/triplets")).as_dataset(split="train"))
    read = [(int(row["line"]), row["face_a"].decode(), row["votes"].tolist()) for row in triplets]
    assert read == [(row["line"], row["face_a"], row["votes"]) for row in surviving(root, "train")]
    faces = list(tfds.as_numpy(tfds.builder_from_directory(str(tmp_path / "out/faces")).as_dataset(split="train")))
    assert {row["face_id"].decode() for row in faces} == {
        row[name] for row in surviving(root, "train") for name in ("face_a", "face_b", "face_c")
    }
    assert {row["image"].shape[2] for row in faces} == {3}
