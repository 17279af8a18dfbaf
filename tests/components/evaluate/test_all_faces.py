"""The embeddings of all faces are stored, each once, as the network makes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from components.evaluate.embedding import embedded, load_network
from components.evaluate.step import Parameters, run
from fec import layout, tables
from fec.embeddings import read_embeddings
from fec.layout import EVAL, SPLITS
from fec.record_files import record_files
from fec.rows import CollectedFace
from fec.storage import open_storage
from tests.components.evaluate.conftest import RUN


def test_every_face_of_the_records_has_an_embedding(finished_root: Path) -> None:
    run(Parameters(root=str(finished_root), run=RUN))
    storage = open_storage(str(finished_root))
    found = read_embeddings(storage, RUN)
    for split in SPLITS:
        rows = tables.read_rows(storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}", CollectedFace)
        there = found.of_split(split)
        assert dict(zip(there.face_ids, there.image_ids, strict=True)) == {row.face_id: row.image_id for row in rows}


def test_they_are_what_the_accuracy_was_measured_by(finished_root: Path) -> None:
    run(Parameters(root=str(finished_root), run=RUN))
    storage = open_storage(str(finished_root))
    measured = embedded(storage, record_files(storage, EVAL), load_network(storage, RUN), 256)
    stored = read_embeddings(storage, RUN).of_split(EVAL)
    for face, vector in zip(stored.face_ids, stored.vectors, strict=True):
        assert np.array_equal(vector, measured.embeddings[face])


def test_a_model_may_outlive_the_records_it_was_trained_on(finished_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(finished_root, tmp_path / "root", ignore=shutil.ignore_patterns("reports", "*base-train*"))
    run(Parameters(root=str(root), run=RUN))
    assert set(read_embeddings(open_storage(str(root)), RUN).splits) == {EVAL}


def test_eval_alone_is_embedded_where_that_is_asked_for(finished_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(finished_root, tmp_path / "root", ignore=shutil.ignore_patterns("reports"))
    run(Parameters(root=str(root), run=RUN, embed=EVAL))
    assert set(read_embeddings(open_storage(str(root)), RUN).splits) == {EVAL}
