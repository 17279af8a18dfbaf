"""Record files hold what TensorFlow should see, are the same bytes however they came about, and name bad crops."""

import hashlib
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from components.collect.step import Parameters as CollectParameters
from components.collect.step import run as collect
from components.datagen import step as datagen_step
from components.datagen.component import datagen as component
from components.datagen.step import Parameters, run
from fec import face_records, layout, presets, records
from fec.done import read_done
from fec.errors import ConfigurationError, RunFailed
from fec.storage import LocalStorage, open_storage
from tests.components.collect.scene import Scene, contents, crop, write
from tests.watching import found

SCENE = Scene.of(60)


def collected(root: Path, shards: int = 2, scene: Scene = SCENE, **options: Any) -> Path:
    """A root ready for datagen, with three record shards."""
    write(root, scene, shards=shards)
    collect(CollectParameters(str(root), layout.TRAIN, **({"record_shards": 3} | options)))
    return root


def parameters(root: Path, group: str = "0/1", **options: Any) -> Parameters:
    return Parameters(str(root), layout.TRAIN, group, **options)


def record_bytes(root: Path) -> dict[str, bytes]:
    """The record files, without markers."""
    return {path: data for path, data in contents(root, "records").items() if "_done" not in path}


def examples(root: Path, problem: str = "fec_base", count: int = 3) -> list[dict[str, list[Any]]]:
    files = [(root / layout.record_file("train", number, count, problem)).read_bytes() for number in range(count)]
    payloads = [payload for data in files for payload in records.read_frames(io.BytesIO(data))]
    return [dict(records.decode_example(payload)) for payload in payloads]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return collected(tmp_path / "root")


def test_tensorflow_reads_every_triplet_with_its_own_pixels(root: Path) -> None:
    import tensorflow as tf

    assert run(parameters(root)) == "0/1"
    number_of = SCENE.number_of()
    wanted = {
        tuple(SCENE.face_id(face) for face in faces): (kind, votes, odd) for faces, kind, votes, odd in SCENE.triplets
    }
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in records.IMAGES + records.IMAGE_IDS}
    spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in ("triplet_code", "type", "rating/mode")}
    spec |= {"rating/mean": tf.io.FixedLenFeature([], tf.float32), "rating/all": tf.io.VarLenFeature(tf.int64)}
    files = tf.data.Dataset.list_files(str(root / "records/fec_base-train-*"), shuffle=False)
    seen = set()
    for example in tf.data.TFRecordDataset(files).map(lambda record: tf.io.parse_single_example(record, spec)):
        ids = tuple(example[name].numpy().decode() for name in records.IMAGE_IDS)
        kind, votes, odd = wanted[ids]
        assert (example["type"], example["triplet_code"], example["rating/mode"]) == (kind, odd, odd)
        assert tuple(tf.sparse.to_dense(example["rating/all"]).numpy()) == votes
        assert example["rating/mean"].numpy() == pytest.approx(sum(votes) / len(votes))
        for name, face_id in zip(records.IMAGES, ids, strict=True):
            pixels = tf.io.decode_jpeg(example[name]).numpy()
            assert pixels.shape == (64, 64, 3)
            difference = pixels.astype(int) - padded(crop(number_of[face_id]))
            assert np.abs(difference).mean() < 10
            assert np.abs(difference.mean(axis=(0, 1))).max() < 3  # each channel in its place
        seen.add(ids)
    assert seen == set(wanted)


def padded(jpeg: bytes) -> Any:
    """The 64 x 64 face a crop should become, by Pillow: RGB, aspect kept, edges filled with their own pixels."""
    from PIL import Image

    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    scale = 64 / max(image.size)
    inner = np.asarray(
        image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX), dtype=int
    )
    down, across = 64 - inner.shape[0], 64 - inner.shape[1]
    edges = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return np.pad(inner, edges, mode="edge")


def test_records_lie_in_the_order_of_collect(root: Path) -> None:
    run(parameters(root))
    rows = pq.read_table(root / "collect/train/triplets.parquet").to_pylist()
    found = [[value.decode() for name in records.IMAGE_IDS for value in example[name]] for example in examples(root)]
    assert found == [[row["face_a"], row["face_b"], row["face_c"]] for row in rows]


def test_the_bytes_do_not_depend_on_shards_groups_or_workers(tmp_path: Path) -> None:
    one, many = collected(tmp_path / "one", 1), collected(tmp_path / "many", 37)
    run(parameters(one, workers=1, layout="both"))
    for group in ("2/3", "0/3", "1/3"):
        run(parameters(many, group, workers=3, layout="both"))
    assert record_bytes(one) == record_bytes(many)
    assert len(record_bytes(one)) == 9


def test_the_marker_describes_the_file(root: Path) -> None:
    run(parameters(root, image_size=32, jpeg_quality=70))
    storage = open_storage(str(root))
    for number in range(3):
        data = storage.read(layout.record_file("train", number, 3))
        done = read_done(storage, layout.record_done_dir("train", number, 3))
        assert done is not None
        assert done.digest == done.details["sha256"] == hashlib.sha256(data).hexdigest()
        assert done.counts == {"triplets": 20, "bytes": len(data)}
        assert (done.details["image_size"], done.details["jpeg_quality"]) == (32, 70)


def test_again_is_free_and_needs_no_crop(root: Path) -> None:
    run(parameters(root))
    before = {path: (root / path).stat().st_mtime_ns for path in contents(root, "records")}
    for file in (root / "train").rglob("*.jpg"):
        file.unlink()
    run(parameters(root))
    assert {path: (root / path).stat().st_mtime_ns for path in contents(root, "records")} == before
    assert not (root / ".work").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "without marker"])
def test_a_damaged_file_is_made_again_and_no_other(root: Path, damage: str) -> None:
    run(parameters(root))
    before = record_bytes(root)
    times = {path: (root / path).stat().st_mtime_ns for path in before}
    file = root / layout.record_file("train", 1, 3)
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        (root / layout.record_done_dir("train", 1, 3) / layout.DONE).unlink()
    run(parameters(root))
    assert record_bytes(root) == before
    changed = [path for path in before if (root / path).stat().st_mtime_ns != times[path]]
    assert changed == [layout.record_file("train", 1, 3)]


@pytest.mark.parametrize("options", [{"image_size": 48}, {"jpeg_quality": 50}, {"layout": "faces", "image_size": 48}])
def test_other_parameters_make_other_records(root: Path, options: dict[str, Any]) -> None:
    run(parameters(root, layout="both"))
    before = record_bytes(root)
    run(parameters(root, **options))
    problem = "faces-fec_base" if "layout" in options else "fec_base"
    path = layout.record_file("train", 0, 3, problem)
    assert record_bytes(root)[path] != before[path]


class DiskFullForMarkers(LocalStorage):
    """Takes record files and no markers: what a task killed between the two leaves."""

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        if "_done" in path:
            raise RunFailed("no space left")
        super().write(path, data, durable=durable)


def test_no_marker_outlives_the_file_it_was_written_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(parameters(root))
    monkeypatch.setattr(datagen_step, "open_storage", DiskFullForMarkers)
    with pytest.raises(RunFailed, match="no space left"):
        run(parameters(root, image_size=32))
    markers = [read_done(LocalStorage(str(root)), layout.record_done_dir("train", number, 3)) for number in range(3)]
    assert [done is None for done in markers] == [True, False, False]


@pytest.mark.parametrize("table", ["triplets.parquet", "faces.parquet"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "of another run"])
def test_a_collected_table_that_is_not_the_markers_is_named(tmp_path: Path, table: str, damage: str) -> None:
    root = collected(tmp_path / "root")
    file = root / "collect/train" / table
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        other = collected(tmp_path / "other", scene=Scene.of(60, faces=50), seed=1)
        file.write_bytes((other / "collect/train" / table).read_bytes())
    with pytest.raises(RunFailed, match=rf"collect/train/{table} is missing or not the table"):
        run(parameters(root))
    assert not record_bytes(root)


def test_a_missing_crop_is_named(root: Path) -> None:
    lost = next(file for file in sorted((root / "train").rglob("*.jpg")))
    lost.unlink()
    with pytest.raises(RunFailed, match="is missing") as error:
        run(parameters(root))
    assert str(lost.relative_to(root)) in str(error.value)
    assert not record_bytes(root)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: b"\0" + data[1:], lambda data: b""])
def test_a_spoiled_crop_is_named(root: Path, spoil: Any) -> None:
    spoiled = next(file for file in sorted((root / "train").rglob("*.jpg")))
    spoiled.write_bytes(spoil(spoiled.read_bytes()))
    with pytest.raises(RunFailed, match="is not the crop") as error:
        run(parameters(root))
    assert str(spoiled.relative_to(root)) in str(error.value)


def crops(root: Path) -> list[Path]:
    """The crops in the order in which they are made small."""
    rows = pq.read_table(root / "collect/train/faces.parquet").to_pylist()
    return [root / layout.faces_dir("train", row["shard"]) / row["crop_name"] for row in rows]


def test_what_was_made_small_before_a_bad_crop_is_kept(root: Path) -> None:
    *_, spoiled = crops(root)
    content = spoiled.read_bytes()
    spoiled.write_bytes(b"")
    with pytest.raises(RunFailed):
        run(parameters(root, workers=1))
    spoiled.write_bytes(content)
    crops(root)[0].unlink()
    run(parameters(root, workers=1))
    assert len(examples(root)) == 60


def test_each_face_is_made_small_once_for_all_groups(tmp_path: Path) -> None:
    root = collected(tmp_path, scene=Scene.of(600))  # each third of them uses all 40 faces
    run(parameters(root, "1/3"))
    for file in crops(root):
        file.unlink()
    run(parameters(root, "0/3"))
    run(parameters(root, "2/3"))
    assert len(examples(root)) == 600


def test_a_cache_that_lost_its_end_or_a_byte_gives_the_same_records(tmp_path: Path) -> None:
    clean = collected(tmp_path / "clean")
    run(parameters(clean))
    for name, spoil in (("cut", lambda data: data[: len(data) // 2]), ("flipped", flipped)):
        root = collected(tmp_path / name)
        run(parameters(root, "0/3"))
        cache = root / ".work/collect/train/faces-64-90/faces"
        cache.write_bytes(spoil(cache.read_bytes()))
        run(parameters(root))
        assert record_bytes(root) == record_bytes(clean)


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    scene = Scene.of(2000, 300)
    clean = collected(tmp_path / "clean", scene=scene)
    run(parameters(clean, layout="both"))
    root = collected(tmp_path / "killed", scene=scene)
    command = [sys.executable, "-m", "components.datagen", "--root", str(root), "--split", "train", "--group", "0/1"]
    command += ["--layout", "both", "--workers", "1"]
    moments = ("faces-64-90/faces", "records-*/*", "../../../records/fec_base-*", "../../../records/faces-*")
    kills = 0
    for moment in moments:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if found(root / ".work/collect/train", moment):
                process.kill()
            time.sleep(0.002)
        kills += process.returncode == -9
    run(parameters(root, layout="both"))
    assert kills == len(moments)
    assert record_bytes(root) == record_bytes(clean)
    assert not (root / ".work").exists()


@contextmanager
def faces_and_triplets(root: Path) -> Iterator[list[tuple[BinaryIO, BinaryIO]]]:
    """The files of faces and those of triplets by id, open side by side."""
    problems = (layout.faces_problem(), layout.triplets_problem())
    with ExitStack() as stack:
        files = [
            [
                stack.enter_context(open(root / layout.record_file("train", number, 3, problem), "rb"))
                for number in range(3)
            ]
            for problem in problems
        ]
        yield list(zip(*files, strict=True))


def test_faces_and_ids_hold_what_the_triplets_hold(root: Path) -> None:
    run(parameters(root, layout="both"))
    done = read_done(open_storage(str(root)), layout.record_done_dir("train", 2, 3, layout.faces_problem()))
    assert done is not None
    held = done.details["faces_held"]
    by_id: dict[tuple[str, ...], Any] = {}
    with faces_and_triplets(root) as pairs:
        for triplet, images in face_records.read_triplets(pairs, max_faces=held):
            by_id[triplet.face_ids] = (list(images), triplet.odd_one_out, triplet.type, triplet.votes)
    inside: dict[tuple[str, ...], Any] = {}
    for example in examples(root):
        votes = example["rating/all"]
        ids = tuple(example[name][0].decode() for name in records.IMAGE_IDS)
        faces = [example[name][0] for name in records.IMAGES]
        counts = (votes.count(1), votes.count(2), votes.count(3))
        inside[ids] = (faces, example["triplet_code"][0], example["type"][0], counts)
    assert by_id == inside
    assert len(inside) == 60


def test_a_reader_that_may_hold_fewer_faces_than_needed_says_how_many(root: Path) -> None:
    run(parameters(root, layout="faces"))
    done = read_done(open_storage(str(root)), layout.record_done_dir("train", 0, 3, layout.triplets_problem()))
    assert done is not None
    with faces_and_triplets(root) as pairs, pytest.raises(ConfigurationError, match="faces have to be held"):
        list(face_records.read_triplets(pairs, max_faces=done.details["faces_held"] - 1))


def test_each_face_is_in_the_files_of_faces_once_with_its_details(root: Path) -> None:
    run(parameters(root, layout="faces"))
    found = examples(root, layout.faces_problem())
    number_of = SCENE.number_of()
    used = [face for faces, *_ in SCENE.triplets for face in faces]
    assert sorted(example["id"][0].decode() for example in found) == sorted(
        face_id for face_id, face in number_of.items() if face in used
    )
    for example in found:
        face = number_of[example["id"][0].decode()]
        assert example["uses"] == [used.count(face)]
        assert example["sha256"] == [hashlib.sha256(crop(face)).hexdigest().encode()]
        assert example["confidence"][0] == pytest.approx(0.75 + face / 1000)
        assert example["detector"] == [b"yunet"]
        pixels = cv2.imdecode(np.frombuffer(example["image"][0], np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape == (64, 64, 3)


def test_no_file_of_the_second_layout_passes_for_one_of_the_first(root: Path) -> None:
    run(parameters(root, layout="both"))
    assert sorted(file.name for file in (root / "records").glob("fec_base-train*")) == [
        f"fec_base-train-0000{number}-of-00003" for number in range(3)
    ]


def test_fec_tiny_is_the_first_of_fec_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.PRESETS, "fec_tiny", presets.Preset("fec_tiny", {"train": 25}))
    root = collected(tmp_path)
    run(parameters(root, preset="fec_tiny"))
    assert sorted(record_bytes(root)) == [f"records/fec_tiny-train-0000{number}-of-00002" for number in range(2)]
    run(parameters(root))
    assert examples(root, "fec_tiny", 2) == examples(root)[:25]


def test_without_collect_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no collected triplets of train"):
        run(parameters(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 7},
        {"image_size": 1025},
        {"jpeg_quality": 0},
        {"jpeg_quality": 101},
        {"layout": "pictures"},
        {"preset": "fec_huge"},
        {"workers": -1},
        {"group": "1/1"},
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        run(parameters(tmp_path, **options))


def test_no_step_before_training_imports_tensorflow(root: Path) -> None:
    code = (
        "import sys; from components.datagen.step import Parameters, run; "
        f"run(Parameters({str(root)!r}, 'train', '0/1')); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0
    assert len(record_bytes(root)) == 3


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, runpy; sys.argv[1:] = ['--help']\n"
    code += "try: runpy.run_module('components.datagen')\nexcept SystemExit: pass\n"
    code += "print([name for name in ('numpy', 'cv2', 'pyarrow', 'kfp') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.endswith("[]\n")


def test_the_component_writes_records(root: Path) -> None:
    assert component.python_func(root=str(root), split="train", group="1/3") == "1/3"
    assert list(record_bytes(root)) == ["records/fec_base-train-00001-of-00003"]
