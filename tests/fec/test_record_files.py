"""The record files of a split are all there, whole and of one collection, or the missing ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.layout import EVAL, TRAIN
from fec.record_files import record_files, record_files_of_any_layout
from fec.storage import Storage, open_storage

COUNT = 3


INSIDE, IDS, FACES = layout.PROBLEM, layout.triplets_problem(), layout.faces_problem()


def write_record(
    storage: Storage, number: int, content: bytes, image_size: int = 64, collect: str = "c", problem: str = INSIDE
) -> None:
    storage.write(layout.record_file(TRAIN, number, COUNT, problem), content)
    counts = {"faces" if problem == FACES else "triplets": 10 + number, "bytes": 3}
    details = {"image_size": image_size, "jpeg_quality": 90, "collect": collect}
    if problem != INSIDE:
        details["faces_held"] = 7
    digest = f"d{number}" if problem == INSIDE else f"{problem[0]}{number}"
    marker = Done("datagen", "f", digest, counts, details)
    write_done(storage, layout.record_done_dir(TRAIN, number, COUNT, problem), marker)


def write_apart(storage: Storage, image_size: int = 64) -> None:
    """Files of faces, and of triplets that name them."""
    for problem in (IDS, FACES):
        for number in range(COUNT):
            write_record(storage, number, b"abc", image_size, problem=problem)


def names(problem: str) -> tuple[str, ...]:
    return tuple(f"records/{problem}-train-{number:05d}-of-00003" for number in range(COUNT))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = open_storage(str(tmp_path))
    write_done(storage, layout.collect_dir(TRAIN), Done("collect", "f", "c", {"record_shards": COUNT}))
    for number in range(COUNT):
        write_record(storage, number, b"abc")
    return storage


def test_they_are_described_in_their_order(storage: Storage) -> None:
    files = record_files(storage, TRAIN)
    assert (files.paths, files.face_paths) == (names(INSIDE), ())
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


def test_where_each_face_lies_once_too_these_files_are_read_under_the_digests_of_the_others(storage: Storage) -> None:
    assert record_files_of_any_layout(storage, TRAIN) == record_files(storage, TRAIN)
    write_apart(storage)
    files = record_files_of_any_layout(storage, TRAIN)
    assert (files.paths, files.face_paths) == (names(IDS), names(FACES))
    assert (files.digests, files.image_size, files.triplets, files.jpeg_quality) == (("d0", "d1", "d2"), 64, 33, 90)


def test_faces_that_lie_once_are_enough(storage: Storage) -> None:
    write_apart(storage)
    for path in names(INSIDE):
        storage.delete(path)
    files = record_files_of_any_layout(storage, TRAIN)
    assert (files.paths, files.face_paths) == (names(IDS), names(FACES))
    assert files.digests == ("t0", "t1", "t2", "f0", "f1", "f2")


def test_faces_that_lie_once_in_another_size_are_left_aside(storage: Storage) -> None:
    write_apart(storage, image_size=32)
    assert record_files_of_any_layout(storage, TRAIN) == record_files(storage, TRAIN)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ((*names(INSIDE), names(FACES)[1]), r"1 of 6 record files .*faces-fec_base-train-00001-of-00003\)"),
        ((names(INSIDE)[2], *names(IDS)), r"1 of 3 record files .*fec_base-train-00002-of-00003\)"),
        ((*names(INSIDE), *names(IDS), *names(FACES)), r"3 of 3 record files .*\(records/fec_base-train-00000"),
    ],
)
def test_of_the_layout_that_lacks_less_what_is_missing_is_named(
    storage: Storage, gone: tuple[str, ...], said: str
) -> None:
    write_apart(storage)
    for path in gone:
        storage.delete(path)
    with pytest.raises(RunFailed, match=said):
        record_files_of_any_layout(storage, TRAIN)
