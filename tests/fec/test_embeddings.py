"""The embeddings of a run come back as they were written, in one order, and their absence is a user's matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fec import layout, tables
from fec.embeddings import Embeddings, read_embeddings, write_embeddings
from fec.errors import ConfigurationError
from fec.rows import EmbeddedFace
from fec.storage import LocalStorage

SOME = Embeddings(["b", "a", "c"], ["i", "j", "i"], ["train", "train", "eval"], np.eye(3, 4, dtype=np.float32))


def test_they_come_back_sorted_by_split_and_face(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    write_embeddings(storage, "r", SOME)
    found = read_embeddings(storage, "r")
    assert (found.face_ids, found.image_ids, found.splits) == (
        ["c", "a", "b"],
        ["i", "j", "i"],
        ["eval", "train", "train"],
    )
    assert np.array_equal(found.vectors, np.eye(3, 4, dtype=np.float32)[[2, 1, 0]])
    assert found.vectors.dtype == np.float32
    assert list(found.of_split("train").face_ids) == ["a", "b"]


def test_they_are_rows_of_the_documented_table(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    write_embeddings(storage, "r", SOME)
    rows = list(tables.read_rows(storage, layout.embeddings_table("r"), EmbeddedFace))
    assert rows[0] == EmbeddedFace("c", "i", "eval", [0.0, 0.0, 1.0, 0.0])


def test_none_is_a_table_too(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    write_embeddings(storage, "r", Embeddings([], [], [], np.empty((0, 16), np.float32)))
    assert len(read_embeddings(storage, "r").face_ids) == 0


def test_a_run_without_them_is_told_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"python -m components.evaluate .* --run r"):
        read_embeddings(LocalStorage(str(tmp_path)), "r")
