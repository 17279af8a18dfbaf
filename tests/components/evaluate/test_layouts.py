"""A root in which each face lies once is measured as one whose triplets hold their faces."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from components.datagen import step as datagen
from components.evaluate.all_faces import embeddings_of
from components.evaluate.embedding import embedded, load_network
from components.evaluate.step import Parameters, run
from fec import layout
from fec.embeddings import read_embeddings
from fec.errors import RunFailed
from fec.layout import EVAL, SPLITS, TRAIN
from fec.record_files import record_files, record_files_of_any_layout
from fec.storage import open_storage
from tests.components.evaluate.conftest import RUN


@pytest.fixture
def once(finished_root: Path, tmp_path: Path) -> Path:
    """The finished root with each face once in its records, which are of no other layout."""
    root = tmp_path / "once"
    shutil.copytree(finished_root, root, ignore=shutil.ignore_patterns("reports", "fec_base-*"))
    for split in SPLITS:
        datagen.run(datagen.Parameters(str(root), split, "0/1", image_size=32, layout="faces"))
    return root


def test_faces_triplets_and_embeddings_are_the_same_in_the_same_order(finished_root: Path, once: Path) -> None:
    here, there = open_storage(str(finished_root)), open_storage(str(once))
    network = load_network(here, RUN)
    inside = embedded(here, record_files(here, EVAL), network, 16)
    apart = embedded(there, record_files_of_any_layout(there, EVAL), network, 16)
    assert [(t.faces, t.odd_one_out, t.type, sorted(t.votes)) for t in apart.triplets] == [
        (t.faces, t.odd_one_out, t.type, sorted(t.votes)) for t in inside.triplets
    ]
    assert list(apart.embeddings) == list(inside.embeddings)
    assert apart.thumbnails == inside.thumbnails
    for face, vector in inside.embeddings.items():
        assert np.allclose(apart.embeddings[face], vector, atol=1e-5)
        assert np.array_equal(apart.pixels[face], inside.pixels[face])
    known = {face: vector + 1 for face, vector in list(inside.embeddings.items())[:3]}
    of_train = embeddings_of(here, record_files(here, TRAIN), network, 16, known)
    found = embeddings_of(there, record_files_of_any_layout(there, TRAIN), network, 16, known)
    assert list(found) == list(of_train)
    assert all(np.allclose(found[face], vector, atol=1e-5) for face, vector in of_train.items())


def test_the_step_measures_it_and_stores_all_embeddings(once: Path) -> None:
    assert Path(run(Parameters(root=str(once), run=RUN))).is_file()
    assert set(read_embeddings(open_storage(str(once)), RUN).splits) == set(SPLITS)


def test_a_file_that_is_not_of_faces_is_named(once: Path) -> None:
    storage = open_storage(str(once))
    files = record_files_of_any_layout(storage, EVAL)
    (once / files.face_paths[0]).write_bytes((once / files.paths[0]).read_bytes())
    with pytest.raises(RunFailed, match=f"{layout.faces_problem()}-dev-00000-of-00001: an example without id"):
        embedded(storage, files, None, 16)
