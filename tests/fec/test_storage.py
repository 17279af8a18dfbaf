"""One contract for every storage root, held by the real thing: a folder, Google's emulator, an S3 server."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from fec.errors import ConfigurationError
from fec.storage import Entry, Storage, open_storage
from tests.fec.conftest import BUCKET

NAMES = ("plain", "cropped@0.1-0.5-0.25-0.75#https:--farm1.staticflickr.com-a%20b?x=1&y=2+3.jpg", "émilie ☺.jpg")
_ROOTS = itertools.count()


@pytest.fixture(params=["folder", "gs", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty root of each kind."""
    if request.param == "folder":
        return open_storage(str(tmp_path / "root"))
    request.getfixturevalue({"gs": "use_google", "s3": "use_s3"}[request.param])
    return open_storage(f"{request.param}://{BUCKET}/root-{next(_ROOTS)}")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_reads_back_as_it_was_put(storage: Storage, name: str) -> None:
    storage.write(f"train/0/{name}", b"\x00bytes\xff")
    assert storage.read(f"train/0/{name}") == b"\x00bytes\xff"
    assert list(storage.list("train/0")) == [Entry(f"train/0/{name}", 7)]


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.write("empty", b"")
    assert (storage.read("empty"), storage.size("empty")) == (b"", 0)


def test_writing_replaces(storage: Storage) -> None:
    storage.write("a/b", b"older and longer")
    storage.write("a/b", b"newer", durable=False)
    storage.sync()
    assert (storage.read("a/b"), storage.size("a/b")) == (b"newer", 5)


def test_a_missing_file_is_file_not_found(storage: Storage) -> None:
    for attempt in (
        lambda: storage.read("none"),
        lambda: storage.read_range("none", 0, 1),
        lambda: storage.local_copy("none").__enter__(),
    ):
        with pytest.raises(FileNotFoundError):
            attempt()
    assert storage.size("none") is None


def test_a_directory_is_not_a_file(storage: Storage) -> None:
    storage.write("a/b/c", b"1")
    assert storage.size("a/b") is None


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 3, b"012"), (4, 2, b"45"), (8, 100, b"89"), (0, 0, b""), (10, 5, b""), (50, 5, b"")],
)
def test_a_range_ends_with_the_file(storage: Storage, offset: int, length: int, expected: bytes) -> None:
    storage.write("digits", b"0123456789")
    assert storage.read_range("digits", offset, length) == expected


def test_a_local_file_is_taken_over(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    storage.write_file("images/train/0/segment-00000.tar", source)
    assert not source.exists()
    assert storage.read("images/train/0/segment-00000.tar") == b"x" * 100_000


@pytest.mark.parametrize("size", [0, 9 << 20])
def test_a_local_file_is_put_as_it_is_and_stays(storage: Storage, size: int) -> None:
    source = storage.workspace("images/train/0") / "source"
    source.write_bytes(b"x" * size + b"end")
    assert storage.write_file_if_absent("images/train/0/segment-00000.tar", source) is True
    assert storage.same("images/train/0/segment-00000.tar", source)
    assert storage.read("images/train/0/segment-00000.tar") == source.read_bytes()
    source.unlink()
    source.write_bytes(b"x" * size + b"End")
    assert not storage.same("images/train/0/segment-00000.tar", source)
    storage.remove_workspace("images/train/0")
    assert storage.size("images/train/0/segment-00000.tar") == size + 3


# The emulator does not look at preconditions; for gs:// test_storage_gcs.py has a server that does.
@pytest.mark.parametrize("storage", ["folder", "s3"], indirect=True)
def test_a_file_present_is_not_put_again(storage: Storage) -> None:
    assert storage.write_if_absent("once", b"first") is True
    assert storage.write_if_absent("once", b"second") is False
    assert storage.read("once") == b"first"


@pytest.mark.parametrize("storage", ["folder", "s3"], indirect=True)
def test_a_local_file_is_not_put_over_another(storage: Storage) -> None:
    source = storage.workspace("a") / "source"
    source.write_bytes(b"second")
    storage.write("taken", b"first")
    assert storage.write_file_if_absent("taken", source) is False
    assert storage.read("taken") == b"first"


def test_listing_is_sorted_and_holds_only_what_is_below(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("fec.storage.gcs", "fec.storage.s3"):  # several pages of names
        monkeypatch.setattr(f"{module}.PAGE", 2)
    paths = ["train/1/b", "train/1/a", "train/1/B", "train/1/deep/er", "train/1/a.x", "train/1/é"]
    for path in [*paths, "train/10/not-this", "train/1.txt", "eval/1/a"]:
        storage.write(path, b"12")
    assert list(storage.list("train/1")) == [Entry(path, 2) for path in sorted(paths)]
    assert list(storage.list("nothing/here")) == []


def test_deleting_twice_is_no_error(storage: Storage) -> None:
    storage.write("gone", b"1")
    storage.delete("gone")
    storage.delete("gone")
    assert storage.size("gone") is None


def test_a_local_copy_has_the_bytes(storage: Storage) -> None:
    storage.write("a", b"bytes")
    with storage.local_copy("a") as path:
        assert path.read_bytes() == b"bytes"


@pytest.mark.parametrize(("name", "ending"), [("models/a-1.2/model.keras", ".keras"), ("a", ""), ("v1.0/a", "")])
def test_a_local_copy_has_the_ending_that_readers_go_by(storage: Storage, name: str, ending: str) -> None:
    storage.write(name, b"bytes")
    with storage.local_copy(name) as path:
        assert path.suffix == ending


def test_a_workspace_lasts_until_it_is_removed(storage: Storage) -> None:
    (storage.workspace("train/0") / "part").write_bytes(b"unfinished")
    assert (open_storage(storage.root).workspace("train/0") / "part").read_bytes() == b"unfinished"
    storage.remove_workspace("train/0")
    assert list(storage.workspace("train/0").iterdir()) == []
    storage.remove_workspace("train/0")


@pytest.mark.parametrize("mode", [0o770, 0o701, 0o744], ids=oct)
@pytest.mark.usefixtures("use_s3")
def test_a_workspace_that_others_may_enter_is_not_used(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    storage = open_storage(f"s3://{BUCKET}/shared")
    storage.workspace("train/0")
    (base,) = tmp_path.iterdir()
    base.chmod(mode)
    with pytest.raises(ConfigurationError, match="belongs to somebody else"):
        storage.workspace("train/0")


def test_a_workspace_is_no_file_of_the_root(storage: Storage) -> None:
    (storage.workspace("train/0") / "part").write_bytes(b"unfinished")
    storage.write("train/0/file", b"1")
    assert [entry.path for entry in storage.list("train")] == ["train/0/file"]
    storage.remove_workspace("train/0")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../outside", "a/../../b", "a\0b"])
def test_a_path_outside_the_root_is_refused(storage: Storage, path: str) -> None:
    with pytest.raises(ValueError, match="not a path below the storage root"):
        storage.write(path, b"")
    with pytest.raises(ValueError, match="not a path below the storage root"):
        storage.read(path)


@pytest.mark.parametrize(
    ("root", "says"),
    [
        ("ftp://host/folder", "ftp:// is not supported"),
        ("gs://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("gs://fec-there-is-no-such-bucket/x", "no bucket 'fec-there-is-no-such-bucket'"),
        ("s3://fec-there-is-no-such-bucket/x", "no such bucket"),
    ],
)
@pytest.mark.usefixtures("use_google", "use_s3")
def test_a_root_that_cannot_be_is_said_in_one_line(root: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as failure:
        open_storage(root)
    assert "\n" not in str(failure.value)
