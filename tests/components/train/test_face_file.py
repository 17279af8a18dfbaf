"""Faces lie on the disk as they were, in a file that nobody has to remove."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from components.train import face_file
from components.train.face_file import FaceFile
from fec.errors import RunFailed

FACES = [b"one", b"", b"three" * 300, b"4"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaceFile:
    """FACES, of which some are written before the last is added."""
    monkeypatch.setattr(face_file, "_BUFFER", 1000)
    file = FaceFile(tmp_path)
    for face in FACES:
        file.append(face)
    return file


def test_faces_are_found_by_number(kept: FaceFile) -> None:
    assert [kept[number] for number in (2, 0, 3, 1)] == [FACES[2], FACES[0], FACES[3], FACES[1]]
    assert list(kept) == FACES


def test_the_file_has_no_name(kept: FaceFile, tmp_path: Path) -> None:
    assert list(kept) == FACES
    assert not list(tmp_path.iterdir())


def opened(folder: Path) -> int:
    """How many files of ``folder`` this process has open."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.is_relative_to(folder) for link in links)


def test_it_is_closed_with_the_last_use_of_it(tmp_path: Path) -> None:
    file = FaceFile(tmp_path)
    assert opened(tmp_path) == 1
    del file
    assert opened(tmp_path) == 0


def test_renumbered_those_that_are_not_named_are_forgotten(kept: FaceFile) -> None:
    kept.renumber([3, 0])
    assert list(kept) == [FACES[3], FACES[0]]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = FaceFile(tmp_path)
    file.append(b"face")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RunFailed, match="could not be kept on this machine's disk: No space left on device; mend that"):
        file[0]
