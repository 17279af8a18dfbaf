"""What the shards say of a split, as one table: of several rows for an image the one that counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fec import layout, tables
from fec.done import Done, write_done
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.rows import PlannedImage, Tried, VerifiedFace
from fec.segments import SegmentWriter
from fec.storage import Storage, open_storage
from fec.whole_split import planned_images, tried_images, verified_faces

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return open_storage(str(tmp_path_factory.mktemp("split")))


def tell(storage: Storage, outcomes: list[ImageOutcome], split: str = "train", shard: int = 0) -> None:
    """A segment for each of ``outcomes`` of one image, a day after the other."""
    for day, outcome in enumerate(outcomes):
        with SegmentWriter(storage, split, shard) as writer:
            data = b"\xff\xd8" if outcome is ImageOutcome.FETCHED else None
            writer.add(Tried("a", "http://a.example/", outcome, "", 1, AT + timedelta(days=day)), data)
            writer.finish()


def plan(storage: Storage, *names: str) -> None:
    rows = [PlannedImage(name, f"http://{name}.example/", f"{name}.example", 0) for name in names]
    path = f"{layout.plan_dir('train')}/images.parquet"
    tables.write_table(storage, path, tables.from_rows(rows, PlannedImage))


@pytest.mark.parametrize(
    ("outcomes", "counts"),
    [
        ([ImageOutcome.TIMED_OUT, ImageOutcome.GONE], "gone"),
        ([ImageOutcome.GONE, ImageOutcome.TIMED_OUT], "gone"),
        ([ImageOutcome.FETCHED, ImageOutcome.GONE], "fetched"),
        ([ImageOutcome.TIMED_OUT, ImageOutcome.SERVER_ERROR], "server_error"),
    ],
)
def test_the_row_that_counts(storage: Storage, outcomes: list[ImageOutcome], counts: str) -> None:
    tell(storage, outcomes)
    assert tried_images(storage)["outcome"].to_pylist() == [counts]


def test_an_image_that_nothing_is_known_of_was_not_asked_for(storage: Storage) -> None:
    tell(storage, [ImageOutcome.FETCHED])
    plan(storage, "b", "a")
    images = planned_images(storage, "train", tried_images(storage))
    assert images["image_id"].to_pylist() == ["a", "b"]
    assert images["outcome"].to_pylist() == ["fetched", "not_asked"]
    assert images["offset"].to_pylist() == [512, None]


def test_an_image_that_the_other_split_has_is_found_there(storage: Storage) -> None:
    tell(storage, [ImageOutcome.FETCHED], split="eval", shard=3)
    plan(storage, "a")
    (image,) = planned_images(storage, "train", tried_images(storage)).to_pylist()
    assert (image["in_split"], image["in_shard"], image["segment"]) == ("eval", 3, 0)


def test_nothing_stored_is_no_error(storage: Storage) -> None:
    plan(storage, "a")
    assert planned_images(storage, "train", tried_images(storage))["outcome"].to_pylist() == ["not_asked"]
    assert len(verified_faces(storage, "train", ["face_id", "blur"])) == 0


def test_faces_of_unfinished_shards_are_left_out_and_later_columns_are_null(storage: Storage) -> None:
    write_done(storage, layout.plan_dir("train"), Done("plan", "f", "d", {}, {"num_shards": 2}))
    box = (0.0, 1.0, 0.0, 1.0)
    faces = tables.from_rows([VerifiedFace("f", "a", FaceOutcome.OK, "", "none", *box)], VerifiedFace)
    for shard in (0, 1):
        earlier = faces.select(tables.earlier_schema(VerifiedFace).names)
        tables.write_table(storage, f"{layout.faces_dir('train', shard)}/{layout.FACES_TABLE}", earlier)
    write_done(storage, layout.faces_dir("train", 1), Done("faces", "f", "d"))
    assert verified_faces(storage, "train", ["face_id", "blur"]).to_pylist() == [
        {"face_id": "f", "blur": None, "shard": 1}
    ]
