"""Triplets survive with their faces, in an order that only the seed decides; the rest is counted."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from kfp import dsl

from components.collect.component import collect as component
from components.collect.step import Parameters, run
from fec import layout, tables
from fec.done import Done, read_done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.rows import CollectedFace, CollectedTriplet
from fec.storage import open_storage
from tests.components.collect.scene import Scene, contents, write

VOTES = (1, 1, 1, 1, 2, 3)


def parameters(root: Path, **options: object) -> Parameters:
    return Parameters(str(root), layout.TRAIN, **options)  # type: ignore[arg-type]


def table(root: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(root / "collect/train" / f"{name}.parquet").to_pylist()
    return rows


def funnel(root: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads((root / "collect/train/funnel.json").read_text())
    return value


def test_a_triplet_survives_with_its_three_faces_and_a_consensus(tmp_path: Path) -> None:
    scene = Scene(
        8,
        [
            ((0, 1, 2), 1, VOTES, 1),
            ((0, 1, 3), 2, VOTES, 1),  # face 3 is not ok
            ((4, 5, 0), 3, VOTES, 1),  # the image of 4 and 5 was not fetched
            ((6, 7, 0), 3, (1, 1, 2, 2, 3, 3), None),
            ((7, 2, 1), 3, (2, 2, 2), 2),
        ],
        {3: FaceOutcome.LOW_CONFIDENCE},
        {2: ImageOutcome.GONE},
    )
    write(tmp_path, scene)
    assert run(parameters(tmp_path)) == ["0/1"]
    kept = table(tmp_path, "triplets")
    assert sorted((row["line"], row["type"], row["odd_one_out"]) for row in kept) == [(1, 1, 1), (5, 3, 2)]
    assert {tuple(row["votes"]) for row in kept} == {VOTES, (2, 2, 2)}
    used = {scene.face_id(face) for face in (0, 1, 2, 7)}
    assert {row["face_id"] for row in table(tmp_path, "faces")} == used
    counts = funnel(tmp_path)
    assert {key: counts[key] for key in list(counts)[:7]} == {
        "images": 4,
        "fetched": 3,
        "faces": 8,
        "faces_ok": 5,
        "triplets": 5,
        "triplets_ok": 3,
        "records": 2,
    }
    assert counts["no_consensus"] == 1
    assert counts["types"] == {"1": 1, "2": 0, "3": 1}
    assert counts["outcomes"] == {
        "images": {"fetched": 3, "gone": 1},
        "faces": {"low_confidence": 1, "no_image": 2, "ok": 5},
        "archived": 0,
    }
    assert pq.read_schema(tmp_path / "collect/train/triplets.parquet").equals(tables.schema(CollectedTriplet))
    assert pq.read_schema(tmp_path / "collect/train/faces.parquet").equals(tables.schema(CollectedFace))


def test_the_order_is_the_seeds_and_not_the_shards(tmp_path: Path) -> None:
    scene = Scene.of(300)
    orders, digests = [], []
    for name, shards, seed in (("one", 1, 0), ("many", 37, 0), ("other", 1, 1)):
        write(tmp_path / name, scene, shards=shards)
        run(parameters(tmp_path / name, seed=seed))
        orders.append([row["line"] for row in table(tmp_path / name, "triplets")])
        done = read_done(open_storage(str(tmp_path / name)), "collect/train")
        assert done is not None
        digests.append(done.digest)
    assert orders[0] == orders[1] != orders[2]
    assert digests[0] == digests[1] != digests[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(1, 301))


def test_the_order_of_seed_0_never_changes(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(12))
    run(parameters(tmp_path))
    assert [row["line"] for row in table(tmp_path, "triplets")] == [7, 3, 8, 11, 5, 1, 6, 2, 10, 9, 12, 4]


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"triplets_per_record_shard": 34}, [34, 33, 33]),
        ({"triplets_per_record_shard": 99}, [50, 50]),
        ({"record_shards": 3}, [34, 33, 33]),
        ({"record_shards": 1000}, [1] * 100),
    ],
)
def test_record_shards_are_of_near_equal_size(tmp_path: Path, options: dict[str, int], sizes: list[int]) -> None:
    write(tmp_path, Scene.of(100))
    run(parameters(tmp_path, **options))
    numbers = [row["record_shard"] for row in table(tmp_path, "triplets")]
    assert numbers == sorted(numbers)
    assert [numbers.count(number) for number in range(len(sizes))] == sizes


def test_again_is_free_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    first = run(parameters(tmp_path))
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in contents(tmp_path, "collect")}
    assert run(parameters(tmp_path)) == first
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in contents(tmp_path, "collect")} == before


def test_a_face_that_changed_is_collected_anew(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    run(parameters(tmp_path))
    write(tmp_path, Scene.of(50, outcomes={0: FaceOutcome.NO_FACE}))
    run(parameters(tmp_path))
    assert funnel(tmp_path)["faces_ok"] == 39


def test_images_lost_otherwise_change_the_funnel_and_not_the_digest(tmp_path: Path) -> None:
    digests = []
    for outcome in (ImageOutcome.TIMED_OUT, ImageOutcome.GONE):
        write(tmp_path, Scene.of(50, lost={1: outcome}))
        run(parameters(tmp_path))
        assert funnel(tmp_path)["outcomes"]["images"] == {"fetched": 19, str(outcome): 1}  # type: ignore[index]
        done = read_done(open_storage(str(tmp_path)), "collect/train")
        assert done is not None
        digests.append((done.digest, done.details["funnel_sha256"]))
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]


def test_the_funnel_says_how_many_images_came_from_an_archive(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    storage = open_storage(str(tmp_path))
    done = read_done(storage, layout.images_dir("train", 0))
    assert done is not None
    write_done(storage, layout.images_dir("train", 0), replace(done, counts={**done.counts, "archived": 3}))
    run(parameters(tmp_path))
    assert funnel(tmp_path)["outcomes"]["archived"] == 3  # type: ignore[index]


def test_nothing_left_is_said_with_the_reasons(tmp_path: Path) -> None:
    scene = Scene.of(
        20, 8, lost={0: ImageOutcome.GONE, 1: ImageOutcome.GONE, 2: ImageOutcome.TIMED_OUT, 3: ImageOutcome.GONE}
    )
    write(tmp_path, scene)
    with pytest.raises(
        RunFailed, match=r"^no triplet of train .* of 4 images 0 were fetched \(lost: gone 3, timed_out 1\)"
    ):
        run(parameters(tmp_path))
    assert funnel(tmp_path)["records"] == 0
    assert read_done(open_storage(str(tmp_path)), "collect/train") is None


def test_refused_addresses_bring_the_option_that_allows_them_to_mind(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(20, 8, lost=dict.fromkeys(range(4), ImageOutcome.ADDRESS_NOT_ALLOWED)))
    with pytest.raises(RunFailed, match=r"name it with --allow-network$"):
        run(parameters(tmp_path))


def test_nothing_left_leaves_nothing_of_an_earlier_collection(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(20, 8))
    write(tmp_path, Scene.of(20, 8), layout.EVAL)
    storage = open_storage(str(tmp_path))
    for split in layout.SPLITS:
        run(Parameters(str(tmp_path), split))
        done = read_done(storage, layout.collect_dir(split))
        assert done is not None
        storage.write(layout.record_file(split, 0, 1), b"x")
        write_done(
            storage, layout.record_done_dir(split, 0, 1), Done("datagen", "f", "d", {}, {"collect": done.digest})
        )
    storage.write("records/fec_base-train-00000-of-00002", b"without a marker")
    write(tmp_path, Scene.of(20, 8, lost=dict.fromkeys(range(4), ImageOutcome.GONE)))
    with pytest.raises(RunFailed, match="no triplet of train"):
        run(parameters(tmp_path))
    assert sorted(contents(tmp_path, "records")) == [
        "records/_done/fec_base-dev-00000-of-00001/_DONE.json",
        "records/fec_base-dev-00000-of-00001",
    ]
    assert sorted(contents(tmp_path, "collect/train")) == ["collect/train/funnel.json"]


@pytest.mark.parametrize(("folder", "step"), [("train", "faces"), ("images/train", "download")])
def test_unfinished_shards_are_named(tmp_path: Path, folder: str, step: str) -> None:
    write(tmp_path, Scene.of(20), shards=6)
    for shard in (1, 2, 4, 5):
        (tmp_path / folder / str(shard) / layout.DONE).unlink()
    with pytest.raises(RunFailed, match=rf"the {step} step has not finished 4 of 6 shards \({folder}/1, .*/4 \.\.\.\)"):
        run(parameters(tmp_path))


@pytest.mark.parametrize("path", ["train/1/faces.parquet", "plan/train/triplets.parquet"])
@pytest.mark.parametrize("spoil", [None, lambda data: data[:-9], lambda data: b""])
def test_a_manifest_that_is_gone_or_spoiled_is_named(tmp_path: Path, path: str, spoil: Any) -> None:
    write(tmp_path, Scene.of(20))
    file = tmp_path / path
    if spoil:
        file.write_bytes(spoil(file.read_bytes()))
    else:
        file.unlink()
    with pytest.raises(RunFailed, match=f"{path} is missing, spoiled"):
        run(parameters(tmp_path))


def test_a_faces_manifest_of_another_run_is_named(tmp_path: Path) -> None:
    write(tmp_path / "mine", Scene.of(20))
    write(tmp_path / "other", Scene.of(20, outcomes={3: FaceOutcome.NO_FACE}))
    path = "train/1/faces.parquet"
    (tmp_path / "mine" / path).write_bytes((tmp_path / "other" / path).read_bytes())
    with pytest.raises(RunFailed, match=f"{path} is missing, spoiled or of another run"):
        run(parameters(tmp_path / "mine"))


def test_a_plan_of_another_run_is_named(tmp_path: Path) -> None:
    write(tmp_path / "mine", Scene.of(20, faces=10))
    write(tmp_path / "other", Scene.of(200, faces=20))
    path = "plan/train/triplets.parquet"
    (tmp_path / "mine" / path).write_bytes((tmp_path / "other" / path).read_bytes())
    with pytest.raises(RunFailed, match=f"{path} names 10 faces that no manifest"):
        run(parameters(tmp_path / "mine"))


def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    scene = Scene.of(500)
    write(tmp_path / "clean", scene)
    run(parameters(tmp_path / "clean"))
    root = tmp_path / "killed"
    write(root, scene)
    command = [sys.executable, "-m", "components.collect", "--root", str(root), "--split", "train"]
    for file in ("funnel.json", "triplets.parquet", "faces.parquet"):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if (root / "collect/train" / file).exists():
                process.kill()
            time.sleep(0.0005)
    run(parameters(root))
    assert contents(root, "collect") == contents(tmp_path / "clean", "collect")


def test_without_a_plan_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no finished plan of train"):
        run(parameters(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"triplets_per_record_shard": 0},
        {"record_shards": -1},
        {"max_groups": 0},
        {"max_groups": 81},
        {"preset": "fec_huge"},
        {"seed": 2**63},
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        run(parameters(tmp_path, **options))


def test_groups_are_few_enough_to_share_their_faces_and_never_more_than_allowed(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    storage = open_storage(str(tmp_path))
    run(parameters(tmp_path))
    done = read_done(storage, "collect/train")
    assert done is not None
    many = {**done.counts, "records": 500_000, "record_shards": 100}
    write_done(storage, "collect/train", Done("collect", done.fingerprint, done.digest, many))
    assert len(run(parameters(tmp_path))) == 10
    assert run(parameters(tmp_path, max_groups=4)) == ["0/4", "1/4", "2/4", "3/4"]
    assert run(parameters(tmp_path, preset="fec_tiny")) == ["0/1"]


def test_records_of_another_collection_go_and_their_markers_first(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    write(tmp_path, Scene.of(50), layout.EVAL)
    run(parameters(tmp_path))
    storage = open_storage(str(tmp_path))
    done = read_done(storage, "collect/train")
    assert done is not None

    def record(name: str, collected: str | None) -> None:
        storage.write(f"records/{name}", b"x")
        if collected is not None:
            write_done(storage, f"records/_done/{name}", Done("datagen", "f", "d", {}, {"collect": collected}))

    record("fec_base-train-00000-of-00001", done.digest)
    record("fec_base-train-00000-of-00007", "another")
    record("fec_tiny-train-00000-of-00001", None)
    record("faces-fec_base-train-00000-of-00001", "another")
    record("fec_base-dev-00000-of-00001", "another")
    storage.delete("collect/train/_DONE.json")
    run(parameters(tmp_path))
    assert sorted(contents(tmp_path, "records")) == [
        "records/_done/fec_base-dev-00000-of-00001/_DONE.json",
        "records/_done/fec_base-train-00000-of-00001/_DONE.json",
        "records/fec_base-dev-00000-of-00001",
        "records/fec_base-train-00000-of-00001",
    ]


def test_the_component_collects(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(50))
    triplets = dsl.Dataset(uri=str(tmp_path / "artifact"))
    five = {"collect": {"record_shards": 5}}
    given = component.python_func(root=str(tmp_path), split="train", triplets=triplets, options=five)
    assert given == ["0/1"]
    assert len(table(tmp_path, "triplets")) == 50
    assert (tmp_path / "artifact").read_bytes() == (tmp_path / "collect/train/funnel.json").read_bytes()
    assert triplets.metadata["triplets_ok"] == 50
    assert triplets.metadata["kept_at"] == f"{tmp_path}/collect/train/funnel.json"
