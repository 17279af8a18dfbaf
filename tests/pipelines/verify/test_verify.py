"""A healthy root has no fault; whatever is spoiled is named, with the file, and nothing is passed over."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.collect import step as collect
from components.datagen import step as datagen
from components.faces import step as faces
from fec import identity, layout
from fec.errors import ConfigurationError
from fec.layout import SPLITS
from fec.outcomes import ImageOutcome
from fec.segments import SegmentWriter, stored_images
from fec.storage import open_storage
from pipelines.verify import report
from pipelines.verify.findings import Fault, Findings, Shared
from pipelines.verify.root import verify
from tests.fec.conftest import BUCKET
from tests.pipelines.verify.conftest import RECORD_SHARDS, make
from tests.pipelines.verify.spoiling import Example, cut, flip, put, rewrite

PROBLEMS = [f"{kind}fec_{size}" for size in ("base", "tiny") for kind in ("", "faces-", "triplets-")]
TRIPLETS = "records/fec_base-train-00001-of-00002"
IDS = "records/triplets-fec_base-train-00001-of-00002"
FACES = "records/faces-fec_base-train-00000-of-00002"
TINY = "records/fec_tiny-dev-00000-of-00002"


def findings_of(root: Path | str) -> Findings:
    return verify(open_storage(str(root), read_only=True))


def said(faults: list[Fault]) -> str:
    return "\n".join(map(str, faults))


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def one(root: Path, pattern: str) -> Path:
    """The first of the files that match."""
    return sorted(root.glob(pattern))[0]


def test_a_healthy_root_has_no_fault_and_all_of_it_is_read(whole: Path) -> None:
    before = contents(whole)
    findings = findings_of(whole)
    assert said(findings.faults) == ""
    assert (findings.unfinished, findings.absent, findings.shared) == ([], [], Shared(0, 0, 0))
    assert list(findings.checked) == ["originals", "crops", *PROBLEMS]
    for split in SPLITS:
        funnel = json.loads((whole / "collect" / split / "funnel.json").read_text())
        checked = {what: by_split[split] for what, by_split in findings.checked.items()}
        assert (checked["originals"], checked["crops"]) == (funnel["fetched"], funnel["faces_ok"])
        assert checked["fec_base"] == checked["triplets-fec_base"] == funnel["records"]
        assert checked["fec_tiny"] == checked["triplets-fec_tiny"] == {"train": 12, "eval": 4}[split]
    assert contents(whole) == before


def test_a_segment_that_a_task_started_twice_put_after_the_marker_is_no_fault(root: Path) -> None:
    storage = open_storage(str(root))
    shard = int(one(root, "images/train/*/_DONE.json").parent.name)
    before = stored_images(storage, "train", shard)
    with SegmentWriter(storage, "train", shard) as writer:
        for image in before.values():
            writer.add(replace(image.tried, outcome=ImageOutcome.FETCHED), b"\xff\xd8\xffanother", "jpg")
        writer.finish()
    assert said(findings_of(root).faults) == ""
    assert stored_images(storage, "train", shard) == before


def test_a_root_made_before_records_had_a_version_is_healthy(root: Path) -> None:
    for path in (root / "records/_done").rglob("_DONE.json"):
        marker = json.loads(path.read_text())
        details = marker["details"]
        del details["version"]
        name = path.parent.name
        kind = "faces" if name.startswith("faces-") else "ids" if name.startswith("triplets-") else "triplets"
        inputs = {key: details[key] for key in ("collect", "preset", "image_size", "jpeg_quality")}
        number = int(name.split("-")[-3])
        marker["fingerprint"] = identity.fingerprint({"step": "datagen", "file": [kind, number], **inputs})
        path.write_text(json.dumps(marker))
    assert said(findings_of(root).faults) == ""


def test_the_command_ends_with_a_summary_or_with_json(root: Path) -> None:
    for file in (root / "records").rglob("*fec_tiny*/*"):
        file.unlink()
    for file in (root / "records").glob("*fec_tiny*"):
        file.unlink()
    command = [sys.executable, "-m", "pipelines.cli", "verify"]
    done = subprocess.run([*command, "--root", str(root)], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "no faults")
    assert "train and eval share 0 photographs, 0 faces, 0 triplets" in done.stdout
    flip(root / TRIPLETS)
    done = subprocess.run([*command, str(root), "--json"], capture_output=True, text=True, timeout=100, check=False)
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert list(result) == ["root", "faults", "checked", "shared", "unfinished", "absent", "seconds"]
    assert [fault["path"] for fault in result["faults"]] == [TRIPLETS]
    assert result["absent"] == [
        f"{kind}fec_tiny records of {split}" for split in SPLITS for kind in ("", "faces-", "triplets-")
    ]


# Each spoils one thing and gives the path that must be named; the words must be said of it.
SPOILED: dict[str, tuple[Callable[[Path], str | Path], str]] = {}


def spoils(words: str) -> Callable[[Callable[[Path], str | Path]], Callable[[Path], str | Path]]:
    def register(spoil: Callable[[Path], str | Path]) -> Callable[[Path], str | Path]:
        SPOILED[spoil.__name__] = (spoil, words)
        return spoil

    return register


@spoils("truncated in the record at byte")
def a_truncated_record_file(root: Path) -> str:
    cut(root / TRIPLETS, 9)
    return TRIPLETS


@spoils("does not match its checksum; the")
def a_flipped_byte_in_a_record(root: Path) -> str:
    flip(root / TINY)
    return TINY


@spoils("missing, though its marker is there")
def a_missing_record_file(root: Path) -> str:
    (root / FACES).unlink()
    return FACES


@spoils("takes it in")
def a_stray_record_file(root: Path) -> str:
    stray = "records/fec_base-train-00000-of-00007"
    shutil.copy(root / TRIPLETS, root / stray)
    return stray


@spoils("a marker of no record file")
def a_stray_marker(root: Path) -> str:
    shutil.copytree(
        root / "records/_done/fec_base-dev-00000-of-00002", root / "records/_done/fec_base-dev-00000-of-00009"
    )
    return "records/_done/fec_base-dev-00000-of-00009/_DONE.json"


@spoils("not the bytes that its marker was written for")
def the_same_records_in_another_order(root: Path) -> str:
    rewrite(root, IDS, lambda examples: examples.reverse(), marker=False)
    return IDS


@spoils("record 3: triplet_code 7 is not 1..3")
def a_label_out_of_range(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: put(examples[3], "triplet_code", 7))
    return TRIPLETS


@spoils("record 2: type 0 is not 1..3")
def a_type_out_of_range(root: Path) -> str:
    rewrite(root, IDS, lambda examples: put(examples[2], "type", 0))
    return IDS


@spoils("record 0: rating/all [1, 4] are not 1..3")
def a_vote_out_of_range(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: examples[0].update({"rating/all": [1, 4]}))
    return TRIPLETS


@spoils("record 1: triplet_code")
def another_label_than_the_manifests(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: put(examples[1], "triplet_code", examples[1]["triplet_code"][0] % 3 + 1))
    return TRIPLETS


@spoils("record 0: the faces")
def another_order_than_the_manifests(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: examples.reverse())
    return TRIPLETS


@spoils("records where the manifest has")
def a_missing_triplet(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: examples.pop())
    return TRIPLETS


@spoils("lack the triplets of lines")
def a_missing_triplet_of_ids(root: Path) -> str:
    rewrite(root, IDS, lambda examples: examples.__setitem__(0, examples[1]))
    return "records/triplets-fec_base-train-*"


@spoils("hold more than once the triplets of lines")
def a_triplet_of_ids_twice(root: Path) -> str:
    rewrite(root, IDS, lambda examples: examples.__setitem__(0, examples[1]))
    return "records/triplets-fec_base-train-*"


@spoils("record 4: the manifest has no triplet")
def a_triplet_of_other_faces(root: Path) -> str:
    rewrite(root, IDS, lambda examples: examples[4]["faces"].reverse())
    return IDS


@spoils("hold more than once the faces")
def a_face_twice(root: Path) -> str:
    rewrite(root, FACES, lambda examples: examples.append(examples[0]))
    return "records/faces-fec_base-train-*"


@spoils("lack the faces")
def a_missing_face(root: Path) -> str:
    rewrite(root, FACES, lambda examples: examples.pop(0))
    return "records/faces-fec_base-train-*"


@spoils("uses is not how often it is used")
def a_wrong_number_of_uses(root: Path) -> str:
    rewrite(root, FACES, lambda examples: put(examples[1], "uses", 99))
    return FACES


@spoils("its crop_sha256 is not that of the manifest")
def a_face_from_another_crop(root: Path) -> str:
    rewrite(root, FACES, lambda examples: put(examples[1], "sha256", b"0" * 64))
    return FACES


@spoils("an earlier file of triplets needs this face already")
def a_face_in_a_later_file_than_needed(root: Path) -> str:
    later, moved = FACES.replace("00000-of", "00001-of"), []
    rewrite(root, FACES, lambda examples: moved.append(examples.pop(0)))
    rewrite(root, later, lambda examples: examples.extend(moved))
    return later


@spoils("record 5: a picture that is no whole JPEG")
def a_picture_cut_short(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: put(examples[5], "image/b", examples[5]["image/b"][0][:-200]))
    return TRIPLETS


@spoils("is another one than in records/")
def a_picture_of_another_face(root: Path) -> str:
    rewrite(root, TRIPLETS, lambda examples: put(examples[0], "image/a", examples[0]["image/b"][0]))
    return TRIPLETS


@spoils("record 0: image/a/id is missing")
def a_record_of_something_else(root: Path) -> str:
    def change(examples: list[Example]) -> None:
        examples[0] = {"inputs": [1, 2, 3]}

    rewrite(root, TRIPLETS, change)
    return TRIPLETS


@spoils("hold faces of different sizes")
def a_record_file_of_another_size(root: Path) -> str:
    datagen.run(datagen.Parameters(str(root), "train", "1/2", image_size=32))
    return "records/fec_base-train-*"


@spoils("the marker of another file, or of another run")
def a_marker_of_another_record_file(root: Path) -> Path:
    markers = root / "records/_done"
    wrong = markers / "fec_base-train-00000-of-00002" / layout.DONE
    shutil.copy(markers / "fec_base-train-00001-of-00002" / layout.DONE, wrong)
    return wrong


@spoils("of another collection than the one that is there")
def records_of_another_run(root: Path) -> Path:
    kept = {file: file.read_bytes() for file in (root / "records").rglob("*-train-*") if file.is_file()}
    kept |= {file: file.read_bytes() for file in (root / "records/_done").glob("*-train-*/*")}
    collect.run(collect.Parameters(str(root), "train", seed=1, record_shards=RECORD_SHARDS))
    for file, content in kept.items():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    return root / "records/_done/fec_base-train-00000-of-00002" / layout.DONE


@spoils("missing, though faces.parquet names it")
def a_missing_crop(root: Path) -> Path:
    crop = one(root, "train/1/cropped@*")
    crop.unlink()
    return crop


@spoils("not the crop that faces.parquet was written for")
def a_spoiled_crop(root: Path) -> Path:
    crop = one(root, "eval/*/cropped@*")
    flip(crop)
    return crop


@spoils("a crop that faces.parquet does not name")
def a_stray_crop(root: Path) -> Path:
    stray = root / "train/0/cropped@0.1-0.2-0.3-0.4#http:--nowhere.jpg"
    shutil.copy(one(root, "train/0/cropped@*"), stray)
    return stray


@spoils("at 512 are not those that were stored")
def a_flipped_byte_in_an_original(root: Path) -> Path:
    tar = root / "images/train/0/segment-00000.tar"
    flip(tar, 700)
    return tar


@spoils("cut off at")
def a_truncated_segment(root: Path) -> Path:
    tar = root / "images/train/1/segment-00000.tar"
    cut(tar, 5000)
    return tar


@spoils("missing, and with it")
def a_missing_segment(root: Path) -> Path:
    tar = root / "images/eval/1/segment-00000.tar"
    tar.unlink()
    return tar


@spoils("missing, though the marker beside it names it")
def a_missing_segment_manifest(root: Path) -> Path:
    manifest = root / "images/eval/1/segment-00000.parquet"
    manifest.unlink()
    return manifest


@spoils("of another run than the marker beside it")
def a_segment_manifest_of_another_run(root: Path) -> Path:
    manifest = root / "images/train/0/segment-00000.parquet"
    shutil.copy(root / "images/train/1/segment-00000.parquet", manifest)
    return manifest


@spoils("of another run than its marker")
def a_faces_manifest_of_another_run(root: Path) -> Path:
    manifest = root / "train/0/faces.parquet"
    shutil.copy(root / "train/1/faces.parquet", manifest)
    return manifest


@spoils("not planned")
def a_faces_manifest_and_marker_of_another_run(root: Path) -> Path:
    for name in ("faces.parquet", layout.DONE):
        shutil.copy(root / "train/1" / name, root / "train/0" / name)
    return root / "train/0/faces.parquet"


@spoils("of another run than its marker")
def collected_triplets_of_another_run(root: Path) -> Path:
    table = root / "collect/train/triplets.parquet"
    shutil.copy(root / "collect/eval/triplets.parquet", table)
    return table


@spoils("lines")
def collected_triplets_and_marker_of_another_run(root: Path) -> Path:
    shutil.rmtree(root / "collect/eval")
    shutil.copytree(root / "collect/train", root / "collect/eval")
    return root / "collect/eval/triplets.parquet"


@spoils("images.parquet, faces.parquet, triplets.parquet is spoiled, or of another run")
def a_plan_table_of_another_run(root: Path) -> str:
    shutil.copy(root / "plan/eval/images.parquet", root / "plan/train/images.parquet")
    return "plan/train"


@spoils("of another run than the marker beside it")
def a_plan_description_of_another_run(root: Path) -> Path:
    shutil.copy(root / "plan/eval/plan.json", root / "plan/train/plan.json")
    return root / "plan/train/plan.json"


@spoils("of another run than its marker")
def a_spoiled_funnel(root: Path) -> Path:
    flip(root / "collect/train/funnel.json")
    return root / "collect/train/funnel.json"


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_spoiled_is_named(root: Path, name: str) -> None:
    spoil, words = SPOILED[name]
    path = spoil(root)
    named = str(path.relative_to(root)) if isinstance(path, Path) else path
    faults = findings_of(root).faults
    assert [fault for fault in faults if fault.path == named and words in fault.what], said(faults)


@pytest.mark.parametrize(
    "directory",
    [
        "plan/train",
        "images/train/0",
        "train/1",
        "collect/eval",
        "records/_done/fec_tiny-train-00000-of-00002",
        "records/_done/faces-fec_base-dev-00001-of-00002",
    ],
)
def test_a_truncated_marker_is_named(root: Path, directory: str) -> None:
    cut(root / directory / layout.DONE, 20)
    faults = findings_of(root).faults
    assert faults[0].path == f"{directory}/{layout.DONE}"
    assert "not a whole marker" in faults[0].what


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_flipped_bit_anywhere_in_a_file_is_named(root: Path, where: float) -> None:
    paths = [
        "plan/train/images.parquet",
        "plan/eval/triplets.parquet",
        "images/train/0/segment-00000.parquet",
        "images/eval/1/segment-00000.tar",
        "train/1/faces.parquet",
        "collect/train/faces.parquet",
        "records/fec_tiny-train-00001-of-00002",
        "records/faces-fec_tiny-dev-00000-of-00002",
    ]
    for path in paths:
        flip(root / path, int(where * ((root / path).stat().st_size - 1)))
    faults = findings_of(root).faults
    # A plan's digest covers its three tables together.
    named = {fault.path for fault in faults}
    assert [path for path in paths if path not in named and path.rpartition("/")[0] not in named] == [], said(faults)


def test_faces_and_triplets_of_train_in_eval_are_named_and_photographs_counted(
    root: Path, csvs: dict[str, Path], tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    lines = csvs["train"].read_text().splitlines(keepends=True)
    kept = [line - 1 for line in sorted(pq.read_table(root / "collect/train/triplets.parquet")["line"].to_pylist())]
    # The second of the two as annotators might give it again: the same faces in another order.
    fields = lines[kept[1]].split(",")
    turned = ",".join([*fields[5:10], *fields[:5], *fields[10:]])
    csv = tmp_path / "eval.csv"
    csv.write_text(lines[kept[0]] + turned)
    make(root, "eval", csv)
    findings = findings_of(root)
    assert findings.shared is not None
    assert findings.shared.triplets == 2
    assert findings.shared.faces >= findings.shared.photographs >= 3
    assert f"{findings.shared.faces} faces of eval occur in train too" in said(findings.faults)
    assert "2 triplets of eval occur in train too: those of lines 1, 2" in said(findings.faults)
    assert f"share {findings.shared.photographs} photographs" in report.as_text(findings)


def test_what_is_not_finished_is_said_once_a_step_and_is_no_fault(root: Path) -> None:
    shutil.rmtree(root / "collect" / "eval")
    for path in (root / "records").glob("*-dev-*"):
        path.unlink()
    for marker in (root / "records/_done").glob("*-dev-*"):
        shutil.rmtree(marker)
    for shard in (0, 1):
        (root / f"eval/{shard}/_DONE.json").unlink()
    (root / "images/eval/0/_DONE.json").unlink()
    findings = findings_of(root)
    assert said(findings.faults) == ""
    assert [str(step) for step in findings.unfinished] == ["originals of eval (1 of 2)"]
    text = report.as_text(findings)
    assert "not finished: originals of eval (1 of 2)" in text
    assert "crops of eval, collected triplets of eval" in text


def test_rejected_crops_that_were_kept_are_read(root: Path) -> None:
    faces.run(faces.Parameters(str(root), "train", workers=1, keep_rejected=True))
    assert said(findings_of(root).faults) == ""
    kept = one(root, "rejected/train/*/*.jpg")
    flip(kept)
    (kept.parent / "another.jpg").write_bytes(b"")
    told = said(findings_of(root).faults)
    folder = kept.parent.relative_to(root)
    assert f"{folder}/{kept.name}: not the crop that faces.parquet was written for" in told
    assert f"{folder}/another.jpg: a rejected crop that faces.parquet does not name" in told


def test_triplets_that_were_dropped_since_eval_has_their_faces_are_not_missed(root: Path) -> None:
    # The demo's portraits are of three people, so that nearly all of train is in eval; few crops are nearly equal.
    collect.run(collect.Parameters(str(root), "train", record_shards=RECORD_SHARDS, drop_leaks=True, alike=4))
    shutil.rmtree(root / "records")
    funnel = json.loads((root / "collect/train/funnel.json").read_text())
    assert funnel["leaks"]["triplets"] > 0 < funnel["records"]
    assert said(findings_of(root).faults) == ""
    flip(root / "collect/train/leaks.parquet")
    assert "collect/train/leaks.parquet: spoiled, or of another run than its marker" in said(findings_of(root).faults)


def test_records_without_a_marker_are_read_and_not_finished(root: Path) -> None:
    (root / "records/_done/fec_base-train-00001-of-00002/_DONE.json").unlink()
    findings = findings_of(root)
    assert said(findings.faults) == ""
    assert [str(step) for step in findings.unfinished] == ["fec_base records of train (1 of 2)"]
    rewrite(root, TRIPLETS, lambda examples: put(examples[0], "type", 9), marker=False)
    assert "type 9 is not 1..3" in said(findings_of(root).faults)


@pytest.mark.parametrize("folder", ["collect/train", "plan/train"])
def test_records_without_what_they_were_made_from_are_read_and_named(root: Path, folder: str) -> None:
    shutil.rmtree(root / folder)
    rewrite(root, TRIPLETS, lambda examples: put(examples[0], "type", 9))
    findings = findings_of(root)
    assert folder in said(findings.faults)
    assert f"{TRIPLETS}: record 0: type 9 is not 1..3" in said(findings.faults)


def test_a_plan_alone_is_whole_and_the_rest_is_not_there_yet(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "plan/train", tmp_path / "plan/train")
    findings = findings_of(tmp_path)
    assert (findings.faults, findings.unfinished, findings.shared) == ([], [], None)
    assert findings.absent[:3] == ["originals of train", "crops of train", "collected triplets of train"]
    assert "plan of eval" in findings.absent


def test_originals_of_an_earlier_plan_are_read_too(root: Path) -> None:
    (root / "images/train/1").rename(root / "images/train/7")
    assert findings_of(root).checked["originals"] == findings_of(root).checked["originals"]
    flip(root / "images/train/7/segment-00000.tar", 700)
    assert "images/train/7/segment-00000.tar: the bytes of http" in said(findings_of(root).faults)


@pytest.mark.parametrize("there", [True, False])
def test_a_root_of_nothing_is_a_mistake_and_is_not_made(tmp_path: Path, there: bool) -> None:
    root = tmp_path / "root"
    if there:
        root.mkdir()
    with pytest.raises(ConfigurationError, match="nothing is stored here" if there else "there is no such folder"):
        findings_of(root)
    assert root.exists() == there


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_a_bucket_is_verified_like_a_folder(
    whole: Path, tmp_path: Path, scheme: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue({"gs": "use_google", "s3": "use_s3"}[scheme])
    bucket, part = open_storage(f"{scheme}://{BUCKET}/verified"), tmp_path / "part"
    for folder in ("plan/eval", "images/eval", "eval", "collect/eval"):
        shutil.copytree(whole / folder, part / folder)
    (part / "records").mkdir()
    shutil.copy(whole / TINY, part / TINY)
    for path, content in contents(part).items():
        bucket.write(path.relative_to(part).as_posix(), content)
    assert vars(findings_of(bucket.root)) == vars(findings_of(part))
    lost = one(part, "eval/0/cropped@*").relative_to(part).as_posix()
    bucket.delete(lost)
    bucket.write(TINY, (part / TINY).read_bytes()[:-1])
    assert [fault.path for fault in findings_of(bucket.root).faults] == [lost, TINY]


def test_a_name_from_the_network_cannot_control_the_terminal() -> None:
    findings: Any = Findings([Fault("train/0/cropped@\x1b[2J.jpg", "missing")])
    assert "\x1b" not in report.as_text(findings)
