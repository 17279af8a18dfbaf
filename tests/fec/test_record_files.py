"""The record files of a split are all there, whole and of one collection, or the missing ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.layout import EVAL, TRAIN
from fec.record_files import record_files
from fec.storage import Storage, open_storage

COUNT = 3


def write_record(storage: Storage, number: int, content: bytes, image_size: int = 64, collect: str = "c") -> None:
    storage.write(layout.record_file(TRAIN, number, COUNT), content)
    counts = {"triplets": 10 + number, "bytes": 3}
    details = {"image_size": image_size, "jpeg_quality": 90, "collect": collect}
    write_done(
        storage, layout.record_done_dir(TRAIN, number, COUNT), Done("datagen", "f", f"d{number}", counts, details)
    )


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = open_storage(str(tmp_path))
    write_done(storage, layout.collect_dir(TRAIN), Done("collect", "f", "c", {"record_shards": COUNT}))
    for number in range(COUNT):
        write_record(storage, number, b"abc")
    return storage


def test_they_are_described_in_their_order(storage: Storage) -> None:
    files = record_files(storage, TRAIN)
    assert files.paths == tuple(f"records/fec_base-train-{number:05d}-of-00003" for number in range(COUNT))
    assert (files.digests, files.image_size, files.triplets, files.jpeg_quality) == (("d0", "d1", "d2"), 64, 33, 90)


@pytest.mark.parametrize("what", ["file", "marker", "short", "stale"])
def test_one_that_is_not_there_whole_is_named(storage: Storage, what: str) -> None:
    if what == "file":
        storage.delete(layout.record_file(TRAIN, 1, COUNT))
    elif what == "marker":
        storage.delete(f"{layout.record_done_dir(TRAIN, 1, COUNT)}/{layout.DONE}")
    elif what == "short":
        storage.write(layout.record_file(TRAIN, 1, COUNT), b"ab")
    else:
        write_record(storage, 1, b"abc", collect="earlier")
    with pytest.raises(RunFailed, match=r"1 of 3 record files of train .*fec_base-train-00001-of-00003\)"):
        record_files(storage, TRAIN)


def test_faces_of_two_sizes_are_refused(storage: Storage) -> None:
    write_record(storage, 2, b"abc", image_size=112)
    with pytest.raises(RunFailed, match=r"\[64, 112\] pixels"):
        record_files(storage, TRAIN)


def test_a_split_that_was_not_collected_says_which_step_to_run(storage: Storage) -> None:
    with pytest.raises(RunFailed, match="run the collect step"):
        record_files(storage, EVAL)
