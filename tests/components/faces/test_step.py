"""The faces step on planned and downloaded photographs."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.faces.component import faces as component
from components.faces.step import Parameters, run
from fec import identity, layout
from fec.boxes import Box
from fec.codecs import extras
from fec.done import read_done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.row_types import to_json
from fec.rows import VerifiedFace
from tests.components.faces.scene import (
    FACE_PIXELS,
    NOWHERE,
    PEOPLE,
    Page,
    downloaded,
    encoded,
    face_box,
    output,
    photograph,
    row_of,
    rows,
    smaller,
)

ROOT = Path(__file__).parents[3]


def url(name: str) -> str:
    return f"http://pictures.example/{name}.jpg"


def trouble() -> list[Page]:
    """Each kind of good and bad image once."""
    picture = encoded(photograph("astronaut"))
    return [
        *(Page(url(person), [face_box(person), NOWHERE], encoded(photograph(person))) for person in PEOPLE),
        Page(url("cat"), [Box(0.2, 0.7, 0.1, 0.8)], encoded(photograph("cat"))),
        Page(url("truncated"), [face_box("astronaut")], picture[: len(picture) // 2]),
        Page(url("text"), [face_box("astronaut")], b"<html>gone</html>"),
        Page(url("gone"), [face_box("astronaut")], None, ImageOutcome.GONE, "404"),
        Page(url("slow"), [face_box("astronaut")], None, ImageOutcome.TIMED_OUT),
        Page(url("tiny"), [face_box("astronaut")], encoded(smaller(photograph("astronaut"), 40))),
    ]


def many(count: int) -> list[Page]:
    """Faces, each a little different."""
    pages = []
    for number in range(count):
        person = PEOPLE[number % len(PEOPLE)]
        picture = smaller(photograph(person), 240 + number)
        pages.append(Page(url(f"{person}-{number}"), [face_box(person)], encoded(picture, quality=80)))
    return pages


@pytest.fixture
def parameters(tmp_path: Path) -> Parameters:
    return Parameters(root=str(tmp_path), split="train", workers=1)


def test_every_face_has_a_row_with_its_outcome(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, trouble())
    assert run(parameters) == "0/1"
    table = rows(storage)
    assert [(row["image_id"], row["face_id"]) for row in table] == sorted(
        (identity.image_id(page.url), identity.face_id(page.url, box)) for page in trouble() for box in page.boxes
    )
    outcomes = {
        name: (row_of(storage, url(name))["outcome"], row_of(storage, url(name))["detail"])
        for name in ("cat", "truncated", "text", "gone", "slow", "tiny")
    }
    assert outcomes == {
        "cat": ("no_face", "nothing found"),
        "truncated": ("unreadable", "512x512 JPEG: truncated"),
        "text": ("unreadable", "none of JPEG, PNG, GIF, WEBP, BMP, TIFF, AVIF, or broken in its first bytes"),
        "gone": ("no_image", "gone: 404"),
        "slow": ("no_image", "timed_out"),
        "tiny": ("box_too_small", "crop of 9x11 pixels, wanted 16 a side"),
    }


def test_crops_lie_under_their_published_names(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, trouble())
    run(parameters)
    kept = {row["crop_name"] for row in rows(storage) if row["outcome"] == FaceOutcome.OK}
    assert kept == {identity.crop_name(url(person), face_box(person)) for person in PEOPLE}
    assert {file.name for file in (tmp_path / "train" / "0").iterdir()} == kept | {"faces.parquet", "_DONE.json"}
    left, right, top, bottom = FACE_PIXELS["astronaut"]
    crop = tmp_path / "train" / "0" / identity.crop_name(url("astronaut"), face_box("astronaut"))
    with Image.open(crop) as image:
        width, height = image.size
    assert width == pytest.approx((right - left) * 1.15, abs=2)
    assert height == pytest.approx((bottom - top) * 1.15, abs=2)


def heic(name: str) -> bytes:
    extras.format_of("HEIC")
    return encoded(photograph(name), "HEIF", quality=90)


def test_pictures_that_lacked_a_decoder_are_looked_at_when_it_is_there(
    tmp_path: Path, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Page(url("hopper"), [face_box("hopper")], encoded(photograph("hopper")))
    storage = downloaded(tmp_path, [Page(url("astronaut"), [face_box("astronaut")], heic("astronaut")), other])
    with monkeypatch.context() as without:
        # Workers find a module that cannot be imported; this process finds none.
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken/pillow_heif.py").write_text("raise ImportError")
        without.syspath_prepend(str(tmp_path / "broken"))
        without.setitem(sys.modules, "pillow_heif", None)
        run(parameters)
        row = row_of(storage, url("astronaut"))
        assert (row["outcome"], row["detail"]) == ("unreadable", "HEIC is decoded after pip install 'fec[heic]'")
        before = output(tmp_path)
        run(parameters)
        assert output(tmp_path) == before
    run(parameters)
    assert row_of(storage, url("astronaut"))["outcome"] == "ok"
    after = output(tmp_path)
    run(parameters)
    assert output(tmp_path) == after
    done = read_done(storage, "train/0")
    assert done is not None and done.details["lacking"] == []


def rejected_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / "rejected").rglob("*.jpg")}


def test_rejected_crops_are_kept_whole_and_apart_where_that_is_asked_for(
    tmp_path: Path, parameters: Parameters
) -> None:
    storage = downloaded(tmp_path, trouble())
    run(replace(parameters, keep_rejected=True))
    crops = {row["face_id"]: row for row in rows(storage) if row["crop_left"] is not None and row["crop_name"] is None}
    assert {(row["outcome"]) for row in crops.values()} == {"no_face", "box_too_small"}
    assert rejected_files(tmp_path) == {f"rejected/train/0/{row['outcome']}-{id}.jpg" for id, row in crops.items()}
    for id, row in crops.items():
        data = (tmp_path / f"rejected/train/0/{row['outcome']}-{id}.jpg").read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["rejected_sha256"]
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (row["crop_right"] - row["crop_left"], row["crop_bottom"] - row["crop_top"])
    faces = {path.name for path in (tmp_path / "train/0").glob("cropped@*")}
    run(parameters)
    assert rejected_files(tmp_path) == set()
    assert {path.name for path in (tmp_path / "train/0").glob("cropped@*")} == faces
    assert {row["rejected_sha256"] for row in rows(storage)} == {None}


def test_a_higher_threshold_keeps_whole_what_it_rejects(tmp_path: Path, parameters: Parameters) -> None:
    downloaded(tmp_path, trouble())
    run(replace(parameters, keep_rejected=True))
    run(replace(parameters, keep_rejected=True, min_confidence=0.95))
    assert sum("low_confidence-" in path for path in rejected_files(tmp_path)) == len(PEOPLE)


def test_the_marker_counts_outcomes(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, trouble())
    run(parameters)
    done = read_done(storage, "train/0")
    assert done is not None and done.step == "faces"
    assert done.counts == {
        "images": 9,
        "faces": 12,
        "ok": 3,
        "no_face": 4,
        "no_image": 2,
        "unreadable": 2,
        "box_too_small": 1,
    }


def test_the_component_runs_the_step(tmp_path: Path) -> None:
    storage = downloaded(tmp_path, many(4), split="eval", shards=2)
    assert component.python_func(root=str(tmp_path), split="eval", group="1/2") == "1/2"
    assert read_done(storage, "eval/0") is None
    assert [row["outcome"] for row in rows(storage, "eval", 1)] == ["ok", "ok"]


def test_a_second_run_reads_and_writes_nothing(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, trouble())
    run(parameters)
    before = output(tmp_path)
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in before}
    for name in ("images/train/0/segment-00000.parquet", "plan/train/faces.parquet"):
        storage.delete(name)
    run(parameters)
    assert output(tmp_path) == before
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == times


def test_workers_and_groups_make_no_difference(tmp_path: Path) -> None:
    pages = many(70)
    roots = [tmp_path / name for name in ("one", "two", "groups")]
    for root in roots:
        downloaded(root, pages, shards=3)
    run(Parameters(root=str(roots[0]), split="train", workers=1))
    run(Parameters(root=str(roots[1]), split="train", workers=2))
    for index in (2, 0, 1):
        run(Parameters(root=str(roots[2]), split="train", group=f"{index}/3", workers=1))
    one, two, groups = (output(root) for root in roots)
    assert len(one) == 70 + 3 * 2
    assert one == two == groups


def start(parameters: Parameters) -> "subprocess.Popen[bytes]":
    given = {name.replace("_", "-"): value for name, value in vars(parameters).items()}
    options = [f"--{name}={value}" for name, value in given.items() if not isinstance(value, bool)]
    return subprocess.Popen([sys.executable, "-m", "components.faces", *options], cwd=ROOT, stderr=subprocess.DEVNULL)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, workers: int) -> None:
    pages = many(160)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for root in (whole, killed):
        downloaded(root, pages)
    run(Parameters(root=str(whole), split="train", workers=1))

    process = start(Parameters(root=str(killed), split="train", workers=workers))
    folder = killed / "train" / "0"
    while len(list(folder.glob("cropped@*"))) < 20:
        assert process.poll() is None
        time.sleep(0.01)
    offspring = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "_DONE.json").exists()
    early = {file: file.stat().st_mtime_ns for file in folder.glob("cropped@*")}
    journal = (killed / ".work" / "train" / "0" / "faces.jsonl").read_text().splitlines()
    recorded = {face["crop_name"] for line in journal[1:-1] for face in json.loads(line)["faces"]} - {None}
    assert recorded

    run(Parameters(root=str(killed), split="train", workers=1))
    assert output(killed) == output(whole)
    untouched = {file.name for file, written in early.items() if file.stat().st_mtime_ns == written}
    assert recorded <= untouched
    assert len(offspring) == workers
    deadline = time.monotonic() + 10
    while any(map(running, offspring)):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def test_a_crop_lost_after_a_kill_is_made_again(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(6))
    run(parameters)
    before = output(tmp_path)
    done = read_done(storage, "train/0")
    assert done is not None
    table = rows(storage)
    # As a run killed after its third image leaves it, with one crop damaged since and one gone.
    journal = storage.workspace("train/0") / "faces.jsonl"
    lines: list[dict[str, Any]] = [{"fingerprint": done.fingerprint}]
    lines += [{"faces": [to_json(VerifiedFace(**row))]} for row in table[:3]]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    storage.delete("train/0/_DONE.json")
    storage.delete("train/0/faces.parquet")
    storage.write(f"train/0/{table[0]['crop_name']}", b"damaged")
    storage.delete(f"train/0/{table[1]['crop_name']}")
    run(parameters)
    assert output(tmp_path) == before


def test_other_parameters_make_it_again_and_remove_what_no_longer_counts(
    tmp_path: Path, parameters: Parameters
) -> None:
    storage = downloaded(tmp_path, trouble())
    run(parameters)
    loose = output(tmp_path)
    run(replace(parameters, min_confidence=0.999))
    assert {row["outcome"] for row in rows(storage)} == {
        "low_confidence",
        "no_face",
        "no_image",
        "unreadable",
        "box_too_small",
    }
    assert not list((tmp_path / "train" / "0").glob("cropped@*"))
    run(parameters)
    assert output(tmp_path) == loose


def test_the_work_of_a_killed_run_with_other_parameters_is_not_used(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(3))
    journal = storage.workspace("train/0") / "faces.jsonl"
    journal.write_text('{"fingerprint":"of other parameters"}\n{"faces":[]}\n')
    run(parameters)
    assert [row["outcome"] for row in rows(storage)] == ["ok"] * 3


def test_crops_of_another_quality_have_another_digest(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(3))
    run(parameters)
    first = read_done(storage, "train/0")
    run(replace(parameters, crop_quality=80))
    second = read_done(storage, "train/0")
    assert first is not None and second is not None
    assert first.digest != second.digest


def test_a_threshold_that_changes_no_verdict_changes_no_digest(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(3))
    run(parameters)
    first = read_done(storage, "train/0")
    run(replace(parameters, min_confidence=0.6))
    second = read_done(storage, "train/0")
    assert first is not None and second is not None
    assert first.fingerprint != second.fingerprint
    assert first.digest == second.digest


def test_another_plan_with_the_same_faces_in_a_shard_makes_nothing_again(
    tmp_path: Path, parameters: Parameters
) -> None:
    storage = downloaded(tmp_path, many(3))
    run(parameters)
    table = (tmp_path / "train" / "0" / "faces.parquet").stat().st_mtime_ns
    plan = read_done(storage, layout.plan_dir("train"))
    assert plan is not None
    write_done(storage, layout.plan_dir("train"), replace(plan, digest="1" * 64))
    run(parameters)
    assert (tmp_path / "train" / "0" / "faces.parquet").stat().st_mtime_ns == table
    storage.delete("plan/train/faces.parquet")
    run(parameters)  # and the next time it is known without looking


def test_images_fetched_later_are_verified(tmp_path: Path, parameters: Parameters) -> None:
    page = many(1)[0]
    storage = downloaded(tmp_path, [replace(page, data=None, outcome=ImageOutcome.TIMED_OUT)])
    run(parameters)
    assert rows(storage)[0]["outcome"] == FaceOutcome.NO_IMAGE
    downloaded(tmp_path, [page])
    run(parameters)
    assert rows(storage)[0]["outcome"] == FaceOutcome.OK


def test_a_split_without_a_plan_is_told_to_plan_first(parameters: Parameters) -> None:
    with pytest.raises(RunFailed, match="no plan of the train split: run plan first"):
        run(parameters)


def test_a_shard_without_originals_is_told_to_download_first(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(2), shards=2)
    storage.delete("images/train/1/_DONE.json")
    with pytest.raises(RunFailed, match="shard 1 are not stored yet: run download first"):
        run(parameters)
    assert output(tmp_path) == {}


def test_a_planned_image_nobody_tried_is_no_missing_image(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, many(2))
    storage.delete("images/train/0/segment-00000.parquet")
    with pytest.raises(RunFailed, match="2 of 2 planned images have not been tried, such as"):
        run(parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector": "haar"}, "detector 'haar': expected one of faced, none, yunet"),
        ({"min_confidence": 1.5}, "min_confidence 1.5: expected between 0 and 1"),
        ({"min_confidence": float("nan")}, "min_confidence nan: expected between 0 and 1"),
        ({"max_pixels": 0}, "max_pixels 0: expected at least 1"),
        ({"min_crop_size": 0}, "min_crop_size 0: expected at least 1"),
        ({"crop_quality": 101}, "crop_quality 101: expected between 1 and 100"),
        ({"workers": -1}, "workers -1: expected 0"),
        ({"split": "test"}, "split 'test'"),
        ({"group": "3"}, "group '3'"),
        ({"detector": "faced"}, "'faced' needs --detector-weights"),
    ],
)
def test_wrong_parameters_are_named(
    tmp_path: Path, parameters: Parameters, change: dict[str, Any], message: str
) -> None:
    downloaded(tmp_path, many(1))
    with pytest.raises(ConfigurationError, match=message):
        run(replace(parameters, **change))
    assert output(tmp_path) == {}


def test_help_is_quick_and_needs_no_heavy_module() -> None:
    code = (
        "import sys, runpy; sys.argv[1:] = ['--help']\n"
        "try: runpy.run_module('components.faces', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted({'cv2', 'numpy', 'pyarrow', 'PIL', 'kfp'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--min-confidence" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_thumbnails_of_rejected_crops_can_be_read_from_the_table(tmp_path: Path, parameters: Parameters) -> None:
    storage = downloaded(tmp_path, trouble())
    run(parameters)
    picture = np.asarray(Image.open(io.BytesIO(row_of(storage, url("cat"))["thumbnail"])))
    assert picture.shape[2] == 3 and max(picture.shape) == 96
    assert all(row["thumbnail"] is None for row in rows(storage) if row["outcome"] == FaceOutcome.OK)


def test_the_environment_of_a_worker_is_the_interpreter_alone(tmp_path: Path) -> None:
    """Worker processes start wherever the step is started from."""
    downloaded(tmp_path / "root", many(66))
    result = subprocess.run(
        [sys.executable, "-m", "components.faces", f"--root={tmp_path / 'root'}", "--split=train", "--workers=2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout) == "0/1"
