"""What is held out of training shares nothing with the rest, and training does not give up much for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.train.held_out import divide, owners_of
from fec import layout, tables
from fec.rows import CollectedFace, PlannedImage
from fec.storage import open_storage


def test_the_parts_share_no_owner_and_little_is_lost() -> None:
    owners = np.random.default_rng(0).integers(0, 20_000, (20_000, 3))
    parts = divide(owners, 0.1, seed=0)
    assert len(parts.held_out) >= 100
    assert len(parts.train) >= 0.9 * len(owners)
    assert not set(owners[parts.train].ravel()) & set(owners[parts.held_out].ravel())


def test_where_everybody_is_in_triplets_with_everybody_nothing_is_given_up() -> None:
    owners = np.random.default_rng(0).integers(0, 90, (5_000, 3))
    parts = divide(owners, 0.1, seed=0)
    assert len(parts.held_out) == 0
    assert len(parts.train) == 5_000


def test_nothing_is_held_out_of_a_share_of_nothing() -> None:
    assert len(divide(np.arange(3_000).reshape(1_000, 3), 0.0, seed=0).held_out) == 0


def test_faces_of_one_photograph_or_of_one_blog_have_one_owner(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    crowd = [f"http://cdn.example/{number}" for number in range(50)]
    urls = ["http://a.blog.example/1", "http://a.blog.example/2", *crowd]
    images = [PlannedImage(f"i{number}", url, "example", 0) for number, url in enumerate(urls)]
    faces = [
        CollectedFace(f"f{number}", image.image_id, 0, "c", "", 1.0, "none")
        for number, image in enumerate([*images, images[2]])
    ]
    for path, table in (
        (f"{layout.plan_dir('train')}/images.parquet", tables.from_rows(images, PlannedImage)),
        (f"{layout.collect_dir('train')}/faces.parquet", tables.from_rows(faces, CollectedFace)),
    ):
        tables.write_table(storage, path, table)
    owners = owners_of(storage, [face.face_id for face in faces]).tolist()
    assert owners[0] == owners[1]
    assert owners[2] == owners[-1]
    assert len(set(owners)) == 51


def test_a_root_without_manifests_tells_faces_only(tmp_path: Path) -> None:
    assert owners_of(open_storage(str(tmp_path)), ["a", "b"]).tolist() == [0, 1]


def test_faces_that_no_table_knows_and_photographs_without_an_address_are_owners_of_their_own(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    faces = [CollectedFace(f"f{n}", f"i{n // 2}", 0, "c", "", 1.0, "none") for n in range(4)]
    tables.write_table(storage, f"{layout.collect_dir('train')}/faces.parquet", tables.from_rows(faces, CollectedFace))
    path = f"{layout.plan_dir('train')}/images.parquet"
    tables.write_table(storage, path, tables.from_rows([PlannedImage("i0", "nowhere", "", 0)], PlannedImage))
    assert owners_of(storage, ["f3", "x", "f0", "f2", "f1", "y"]).tolist() == [0, 1, 2, 0, 2, 3]
    tables.write_table(storage, path, tables.from_rows([], PlannedImage))
    assert owners_of(storage, ["f3", "x", "f0", "f2", "f1", "y"]).tolist() == [0, 1, 2, 0, 2, 3]
