"""The marker: it fits exactly its fingerprint, and comes after everything else."""

from pathlib import Path

import pytest

from fec import done as module
from fec.done import Done, finished, read_done, write_done
from fec.storage import LocalStorage, open_storage

DONE = Done("plan", "f" * 64, "d" * 64, {"images": 3}, {"num_shards": 2})


def test_a_marker_reads_back(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    assert write_done(storage, "plan/train", DONE) == DONE
    assert read_done(storage, "plan/train") == DONE


def test_a_step_is_finished_only_for_its_own_fingerprint(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    assert finished(storage, "plan/train", "f" * 64) is None
    write_done(storage, "plan/train", DONE)
    assert finished(storage, "plan/train", "f" * 64) == DONE
    assert finished(storage, "plan/train", "e" * 64) is None


def test_a_marker_of_another_format_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(str(tmp_path))
    write_done(storage, "plan/train", DONE)
    monkeypatch.setattr(module, "FORMAT_VERSION", module.FORMAT_VERSION + 1)
    assert read_done(storage, "plan/train") is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"format": 1}', b'{"format": 1, "x": 2}', b"\xff"]
)
def test_a_spoiled_marker_is_none(tmp_path: Path, content: bytes) -> None:
    storage = open_storage(str(tmp_path))
    storage.write("plan/train/_DONE.json", content)
    assert read_done(storage, "plan/train") is None


def test_the_same_marker_is_the_same_bytes(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    write_done(storage, "one", DONE)
    write_done(storage, "two", Done(**vars(DONE)))
    assert storage.read("one/_DONE.json") == storage.read("two/_DONE.json")


def test_what_is_marked_is_on_the_disk_before_its_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "plan/train/_DONE.json"
    markers_at_sync: list[bool] = []
    sync = LocalStorage.sync

    def watched(storage: LocalStorage) -> None:
        markers_at_sync.append(marker.exists())
        sync(storage)

    monkeypatch.setattr(LocalStorage, "sync", watched)
    write_done(open_storage(str(tmp_path)), "plan/train", DONE)
    assert markers_at_sync == [False]
    assert marker.exists()
