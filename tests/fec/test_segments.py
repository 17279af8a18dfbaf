"""Segments: what was added is there, whatever happens in between, and nobody's work is overwritten."""

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fec import layout, tables
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.rows import SegmentRow
from fec.segments import SegmentWriter, StoredImage, Tried, adopt_orphans, read_original, stored_images, writing
from fec.segments.members import member_header
from fec.storage import Storage, open_storage
from pipelines.verify import stored as marks
from pipelines.verify.findings import Fault
from tests.fec.conftest import BUCKET

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
FETCHED, GONE, TIMED_OUT = ImageOutcome.FETCHED, ImageOutcome.GONE, ImageOutcome.TIMED_OUT


def tried(name: str, outcome: ImageOutcome = FETCHED, detail: str = "") -> Tried:
    return Tried(name, f"http://example.org/{name}.jpg", outcome, detail, 1, AT, 200, None, {"etag": f'"{name}"'})


def body(name: str, size: int = 700) -> bytes:
    return (b"\xff\xd8\xff" + name.encode() * size)[:size]


def stored(storage: Storage) -> dict[str, StoredImage]:
    return stored_images(storage, "train", 0)


def rows(storage: Storage) -> Counter[str]:
    """How many rows the manifests have of each image."""
    counts: Counter[str] = Counter()
    for entry in storage.list(layout.images_dir("train", 0)):
        if entry.path.endswith(".parquet"):
            counts.update(pq.read_table(io.BytesIO(storage.read(entry.path)))["image_id"].to_pylist())
    return counts


def files(storage: Storage) -> list[str]:
    return [entry.path.rpartition("/")[2] for entry in storage.list(layout.images_dir("train", 0))]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "root"))


def put(storage: Storage, *names: str, outcome: ImageOutcome = FETCHED) -> None:
    with SegmentWriter(storage, "train", 0) as writer:
        for name in names:
            writer.add(tried(name, outcome), body(name) if outcome is FETCHED else None, "jpg")
        writer.finish()


def test_what_was_added_reads_back(storage: Storage) -> None:
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("a"), body("a"), "jpg")
        writer.add(tried("b", GONE, "404 Not Found"))
        writer.add(tried("c"), body("c", 1024), "png")
        writer.finish()
    images = stored(storage)
    assert {name: image.tried for name, image in images.items()} == {
        "a": tried("a"),
        "b": tried("b", GONE, "404 Not Found"),
        "c": tried("c"),
    }
    assert read_original(storage, "train", 0, images["a"]) == body("a")
    assert read_original(storage, "train", 0, images["c"]) == body("c", 1024)
    assert (images["b"].offset, images["b"].length, images["b"].sha256) == (None, None, None)


def test_a_segment_is_a_plain_tar_named_by_image(storage: Storage) -> None:
    put(storage, "a", "b")
    with tarfile.open(fileobj=io.BytesIO(storage.read("images/train/0/segment-00000.tar"))) as tar:
        members = tar.getmembers()
        assert [(member.name, member.mtime, member.uid, member.mode) for member in members] == [
            ("a.jpg", 0, 0, 0o644),
            ("b.jpg", 0, 0, 0o644),
        ]
        file = tar.extractfile("b.jpg")
        assert file is not None
        assert file.read() == body("b")


def test_a_full_segment_is_sealed_and_the_next_begun(storage: Storage) -> None:
    with SegmentWriter(storage, "train", 0, segment_bytes=3000) as writer:
        for name in "abcde":
            writer.add(tried(name), body(name), "jpg")
        writer.finish()
    assert files(storage) == [f"segment-0000{number}.{kind}" for number in range(3) for kind in ("parquet", "tar")]
    assert {name: image.segment for name, image in stored(storage).items()} == {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2}


def test_no_segment_without_an_outcome(storage: Storage) -> None:
    put(storage)
    assert files(storage) == []


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([TIMED_OUT, GONE], GONE),
        ([GONE, TIMED_OUT], GONE),
        ([FETCHED, GONE], FETCHED),
        ([GONE, FETCHED], FETCHED),
        ([FETCHED, TIMED_OUT], FETCHED),
        ([TIMED_OUT, ImageOutcome.DNS_FAILED], ImageOutcome.DNS_FAILED),
    ],
)
def test_a_final_outcome_counts_before_a_transient_one_and_a_later_before_an_earlier(
    storage: Storage, outcomes: list[ImageOutcome], expected: ImageOutcome
) -> None:
    for outcome in outcomes:
        put(storage, "a", outcome=outcome)
    assert stored(storage)["a"].outcome is expected


def test_a_flipped_byte_is_named(storage: Storage, tmp_path: Path) -> None:
    put(storage, "a")
    path = tmp_path / "root" / "images/train/0/segment-00000.tar"
    spoiled = bytearray(path.read_bytes())
    spoiled[600] ^= 1
    path.write_bytes(spoiled)
    with pytest.raises(RunFailed, match=r"images/train/0/segment-00000\.tar: the bytes of http://example.org/a.jpg"):
        read_original(storage, "train", 0, stored(storage)["a"])


def test_a_missing_tar_and_a_spoiled_manifest_are_named(storage: Storage) -> None:
    put(storage, "a")
    image = stored(storage)["a"]
    storage.delete("images/train/0/segment-00000.tar")
    with pytest.raises(RunFailed, match=r"segment-00000\.tar is missing"):
        read_original(storage, "train", 0, image)
    storage.write("images/train/0/segment-00000.parquet", b"PAR1 nonsense")
    with pytest.raises(RunFailed, match=r"segment-00000\.parquet cannot be read"):
        stored(storage)


def test_a_manifest_of_before_causes_were_kept_is_read(storage: Storage) -> None:
    put(storage, "a")
    path = "images/train/0/segment-00000.parquet"
    table = pq.read_table(io.BytesIO(storage.read(path)))
    storage.write(path, tables.to_bytes(table.drop_columns(["cause"])))
    assert stored(storage)["a"].cause is None
    assert read_original(storage, "train", 0, stored(storage)["a"]) == body("a")
    checked = marks.table(storage, path, SegmentRow, ["image_id"])
    assert not isinstance(checked, Fault)
    assert checked["image_id"].to_pylist() == ["a"]


# What a process does until it is killed: a full segment, outcomes without bytes, and the end of the shard.
PLAN = [("a", FETCHED), ("b", GONE), ("c", FETCHED), ("d", FETCHED), ("e", TIMED_OUT)]
CHANGES = {"write", "truncate", "link", "replace", "rename", "unlink", "fsync", "mkdir", "rmdir", "touch", "mkstemp"}


def work_until_killed(root: str, kill_at: int, acknowledge: int) -> None:
    """Work through what is left of PLAN; SIGKILL before the ``kill_at``-th call that changes a file."""
    storage = open_storage(root)
    known = stored(storage)
    calls = 0

    def count(frame: object, happening: str, function: object) -> None:
        nonlocal calls
        if happening == "c_call" and getattr(function, "__name__", "") in CHANGES:
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1

    sys.setprofile(count)
    with SegmentWriter(storage, "train", 0, segment_bytes=3000) as writer:
        for name, outcome in PLAN:
            if name not in known and name not in writer.recovered:
                writer.add(tried(name, outcome), body(name) if outcome is FETCHED else None, "jpg")
                os.write(acknowledge, name.encode())
        writer.finish()
    sys.setprofile(None)


def worked(root: Path, kill_at: int = -1) -> tuple[bool, set[str]]:
    """Whether the process came to the end, and the images it was told to be safe."""
    ours, theirs = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=work_until_killed, args=(str(root), kill_at, theirs))
    process.start()
    os.close(theirs)
    with open(ours, "rb") as pipe:
        safe = set(pipe.read().decode())
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0, safe


def assert_all_there_once(root: Path) -> None:
    storage = open_storage(str(root))
    images = stored(storage)
    assert {name: image.outcome for name, image in images.items()} == dict(PLAN)
    for name, outcome in PLAN:
        if outcome is FETCHED:
            assert read_original(storage, "train", 0, images[name]) == body(name)
    assert set(rows(storage).values()) == {1}
    assert not (root / ".work").exists()


@pytest.mark.slow
def test_killed_at_every_change_of_a_file_nothing_is_lost_or_stored_twice(tmp_path: Path) -> None:
    kill_at, ended = 0, False
    while not ended:
        root = tmp_path / str(kill_at)
        ended, safe = worked(root, kill_at)
        if not ended:
            _, again = worked(root)
            assert safe.isdisjoint(again)
        assert_all_there_once(root)
        shutil.rmtree(root)
        kill_at += 1
    assert kill_at > 30


def test_killed_again_and_again_nothing_is_lost_or_stored_twice(tmp_path: Path) -> None:
    for step in (5, 9, 13):
        root = tmp_path / str(step)
        ended, safe = False, set[str]()
        kill_at = step
        while not ended:
            ended, added = worked(root, kill_at)
            assert safe.isdisjoint(added)
            safe |= added
            kill_at += 1  # or it would come no further
        assert_all_there_once(root)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_of_adding_sealing_and_dying_keeps_every_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("any")
    storage = open_storage(str(root))
    expected: dict[str, bytes | None] = {}
    writer = SegmentWriter(storage, "train", 0, segment_bytes=5000)
    try:
        for step in data.draw(st.lists(st.sampled_from(["add", "add", "outcome", "seal", "die", "torn"]), max_size=25)):
            name = f"{len(expected):016x}"
            if step == "add":
                expected[name] = data.draw(st.binary(max_size=2000))
                writer.add(tried(name), expected[name])
            elif step == "outcome":
                expected[name] = None
                writer.add(tried(name, GONE))
            elif step == "seal":
                writer.seal()
            else:
                writer.close()
                if step == "torn":
                    for path in root.glob(".work/images/train/0/*"):
                        with path.open("ab") as file:
                            file.write(data.draw(st.binary(max_size=600)))
                writer = SegmentWriter(storage, "train", 0, segment_bytes=5000)
                assert expected.keys() == writer.recovered | stored(storage).keys()
        writer.finish()
    finally:  # Hypothesis gives up an example in the middle of it
        writer.close()
    images = stored(storage)
    assert {
        name: read_original(storage, "train", 0, image) if image.offset is not None else None
        for name, image in images.items()
    } == expected
    assert rows(storage) == Counter(expected.keys())


@pytest.mark.parametrize("lost", ["cut", "zeroed"])
def test_bytes_that_a_loss_of_power_took_are_fetched_again(storage: Storage, tmp_path: Path, lost: str) -> None:
    with SegmentWriter(storage, "train", 0) as writer:
        for name in "abc":
            writer.add(tried(name), body(name), "jpg")
    tar = tmp_path / "root/.work/images/train/0/segment.tar"
    kept = tar.read_bytes()[:2000]
    tar.write_bytes(kept if lost == "cut" else kept + bytes(tar.stat().st_size - len(kept)))
    with SegmentWriter(storage, "train", 0) as writer:
        assert set(writer.recovered) == {"a"}
        writer.add(tried("b"), body("b", 900), "jpg")
        writer.finish()
    images = stored(storage)
    assert {name: read_original(storage, "train", 0, images[name]) for name in images} == {
        "a": body("a"),
        "b": body("b", 900),
    }


def test_a_number_somebody_has_taken_is_left_alone(storage: Storage) -> None:
    put(storage, "a")
    storage.write("images/train/0/segment-00001.tar", b"being put by another task")
    storage.write("images/train/0/segment-00004.parquet", storage.read("images/train/0/segment-00000.parquet"))
    before = {name: storage.read(f"images/train/0/{name}") for name in files(storage)}
    put(storage, "b")
    put(storage, "c", outcome=GONE)
    assert {name: storage.read(f"images/train/0/{name}") for name in before} == before
    assert set(files(storage)) - before.keys() == {
        "segment-00005.tar",
        "segment-00005.parquet",
        "segment-00006.tar",
        "segment-00006.parquet",
    }


def test_a_segment_is_full_by_its_rows_too(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SEGMENT_ROWS", 3)
    put(storage, *"abcdefg", outcome=GONE)
    assert [image.segment for image in stored(storage).values()] == [0, 0, 0, 1, 1, 1, 2]


def test_the_bytes_of_a_segment_are_written_once(storage: Storage, tmp_path: Path) -> None:
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("a"), body("a"), "jpg")
        written = (tmp_path / "root/.work/images/train/0/segment.tar").stat().st_ino
        writer.seal()
        assert (tmp_path / "root/images/train/0/segment-00000.tar").stat().st_ino == written
        writer.add(tried("b"), body("b"), "jpg")
    assert read_original(storage, "train", 0, stored(storage)["a"]) == body("a")


@pytest.mark.parametrize("where", ["root", "root/.work", "root/.work/images/train/0/journal"])
def test_what_was_removed_in_the_middle_is_told_at_the_next_write(
    storage: Storage, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LOOK_SECONDS", 0.0)
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("a"), body("a"), "jpg")
        removed = tmp_path / where
        shutil.rmtree(removed) if removed.is_dir() else removed.unlink()
        with pytest.raises(RunFailed, match="was removed while the step was at work"):
            writer.add(tried("b"), body("b"), "jpg")
        with pytest.raises(RunFailed, match="was removed while the step was at work"):
            writer.finish()
    if where == "root":
        with pytest.raises(RunFailed, match="was removed while the step was at work"):
            SegmentWriter(storage, "train", 1)


def test_a_copy_of_the_root_made_of_links_is_its_own(storage: Storage, tmp_path: Path) -> None:
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("a"), body("a"), "jpg")
    subprocess.run(["cp", "-al", tmp_path / "root", tmp_path / "copy"], check=True)
    shutil.copy(tmp_path / "copy/.work/images/train/0/journal", tmp_path / "journal")
    shutil.move(tmp_path / "journal", tmp_path / "copy/.work/images/train/0/journal")
    put(storage, "b")
    copy = open_storage(str(tmp_path / "copy"))
    put(copy, "c")
    for root, names in ((storage, "ab"), (copy, "ac")):
        images = stored(root)
        assert {name: read_original(root, "train", 0, images[name]) for name in images} == {n: body(n) for n in names}


def test_two_writers_at_once_on_one_folder_are_told(storage: Storage) -> None:
    with SegmentWriter(storage, "train", 0), pytest.raises(RunFailed, match="another process"):
        SegmentWriter(storage, "train", 0)


def test_an_orphaned_tar_is_given_a_manifest(storage: Storage) -> None:
    put(storage, "a", "b")
    storage.delete("images/train/0/segment-00000.parquet")
    adopt_orphans(storage, "train", 0, lambda: {"a": tried("a").url, "b": tried("b").url})
    images = stored(storage)
    assert {name: image.url for name, image in images.items()} == {name: tried(name).url for name in "ab"}
    assert read_original(storage, "train", 0, images["b"]) == body("b")


def test_an_orphan_that_is_no_tar_is_said_and_left(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write("images/train/0/segment-00000.tar", b"x" * 5000)
    adopt_orphans(storage, "train", 0, dict)
    assert files(storage) == ["segment-00000.tar"]
    assert json.loads(capsys.readouterr().err)["event"] == "spoiled"


FULL_DISK = """
import resource, sys
from fec.command import reported
from fec.segments import SegmentWriter
from fec.storage import open_storage
from tests.fec.test_segments import body, tried
writer = SegmentWriter(open_storage(sys.argv[1]), "train", 0)
writer.add(tried("a"), body("a"), "jpg")
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
with reported():
    writer.add(tried("b"), body("b", 5000), "jpg")
"""


def test_a_full_disk_is_one_line_and_costs_nothing_that_was_added(storage: Storage) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, storage.root], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert "does not take any more (File too large)" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    with SegmentWriter(storage, "train", 0) as writer:
        assert set(writer.recovered) == {"a"}


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_object_stores_keep_segments_and_never_overwrite_one(scheme: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue({"gs": "use_google", "s3": "use_s3"}[scheme])
    storage = open_storage(f"{scheme}://{BUCKET}/segments-{os.getpid()}")
    put(storage, "a")
    first = storage.read("images/train/0/segment-00000.tar")
    put(storage, "b")
    assert storage.read("images/train/0/segment-00000.tar") == first
    images = stored(storage)
    assert {name: (image.segment, image.tried) for name, image in images.items()} == {
        "a": (0, tried("a")),
        "b": (1, tried("b")),
    }
    assert read_original(storage, "train", 0, images["b"]) == body("b")


@pytest.mark.parametrize(("name", "length"), [("a.jpg", 0), ("b" * 96 + ".bin", 8**11 - 1), ("c.png", 185_000)])
def test_the_header_of_a_member_is_the_one_tarfile_writes(name: str, length: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = length, 0o644
    assert member_header(name, length) == member.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(("name", "length"), [("a" * 101, 0), ("é.jpg", 0), ("a.jpg", 8**11), ("a.jpg", -1)])
def test_what_a_header_cannot_say_is_refused(name: str, length: int) -> None:
    with pytest.raises(ValueError):
        member_header(name, length)
