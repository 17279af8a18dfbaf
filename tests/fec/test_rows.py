"""A row is read back as what it was written from, out of a table and out of a journal."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fec import tables
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.row_types import from_values, names, to_json
from fec.rows import (
    CollectedFace,
    CollectedTriplet,
    EmbeddedFace,
    PlannedFace,
    PlannedImage,
    PlannedTriplet,
    SegmentRow,
    StoredElsewhere,
    VerifiedFace,
)
from fec.storage import LocalStorage

ROWS = [
    PlannedImage("i", "http://h/é.jpg", "h", 3),
    PlannedFace("f", "i", 3, 0.1, 0.2, 0.3, 0.4, "cropped@.jpg"),
    StoredElsewhere("i", "eval", 1, 2),
    PlannedTriplet(7, "a", "b", "c", 2, [1, 1, 3], ["x", "y", "z"], None),
    CollectedTriplet(7, "a", "b", "c", 2, [1, 1, 3], 1, 0),
    CollectedFace("f", "i", 3, "cropped@.jpg", "ab", 0.75, "yunet"),
    SegmentRow("i", "u", ImageOutcome.GONE, "404", 2, datetime(2026, 1, 2, 3, 4, 5, 6000, UTC), 404),
    SegmentRow(
        "i",
        "u",
        ImageOutcome.FETCHED,
        "",
        1,
        datetime(2026, 1, 2, tzinfo=UTC),
        200,
        "v",
        {"etag": "x"},
        offset=512,
        length=9,
        sha256="cd",
    ),
    EmbeddedFace("f", "i", "eval", [0.5, -0.25]),
    VerifiedFace("f", "i", FaceOutcome.NO_IMAGE, "gone", "yunet", 0.1, 0.2, 0.3, 0.4),
    VerifiedFace("f", "i", FaceOutcome.OK, "", "yunet", 0.1, 0.2, 0.3, 0.4, 9, 8, 1, thumbnail=b"\xff", confidence=0.5),
]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_comes_back_out_of_a_table(tmp_path: Path, row: Any) -> None:
    storage = LocalStorage(str(tmp_path))
    tables.write_table(storage, "t.parquet", tables.from_rows([row], type(row)))
    assert list(tables.read_rows(storage, "t.parquet", type(row))) == [row]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_comes_back_out_of_a_journal(row: Any) -> None:
    assert from_values(type(row), json.loads(json.dumps(to_json(row)))) == row


def test_rows_of_many_batches_come_in_their_order() -> None:
    rows = [PlannedImage(str(number), "u", "h", number) for number in range(3000)]
    assert list(tables.to_rows(tables.from_rows(rows, PlannedImage), PlannedImage)) == rows


def test_a_column_is_as_its_field_says() -> None:
    schema = tables.schema(SegmentRow)
    assert schema.names == names(SegmentRow)
    assert [schema.field(name).type for name in ("outcome", "attempts", "offset")] == [
        pa.string(),
        pa.int16(),
        pa.int64(),
    ]
    assert [schema.field(name).nullable for name in ("image_id", "offset", "headers")] == [False, True, True]
    votes = tables.schema(PlannedTriplet).field("votes")
    assert (votes.type, votes.nullable) == (pa.list_(pa.int8()), False)


# As the roots that are there already have them; a change is a new format.
@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (PlannedImage, "image_id url host_key shard"),
        (PlannedFace, "face_id image_id shard left right top bottom crop_name"),
        (StoredElsewhere, "image_id split shard segment"),
        (PlannedTriplet, "line face_a face_b face_c type votes annotators odd_one_out"),
        (CollectedTriplet, "line face_a face_b face_c type votes odd_one_out record_shard"),
        (CollectedFace, "face_id image_id shard crop_name crop_sha256 confidence detector"),
        (
            SegmentRow,
            "image_id url outcome detail attempts finished_at http_status final_url headers cause archive "
            "archive_outcome archive_detail offset length sha256",
        ),
        (
            VerifiedFace,
            "face_id image_id outcome detail confidence detector left right top bottom image_width image_height "
            "orientation crop_left crop_right crop_top crop_bottom found_left found_right found_top found_bottom "
            "crop_name crop_sha256 thumbnail blur roll yaw pitch landmarks exif_orientation image_sha256 "
            "image_likeness crop_likeness rejected_sha256",
        ),
    ],
)
def test_the_columns_are_those_of_the_roots_there_are(row: type[Any], columns: str) -> None:
    assert names(row) == columns.split()


@pytest.mark.parametrize("row", ROWS)
def test_a_table_is_made_of_a_journal_as_of_its_rows(row: Any) -> None:
    journal = [json.loads(json.dumps(to_json(row)))]
    assert tables.from_json(journal, type(row)) == tables.from_rows([row], type(row))


def test_a_journal_of_before_a_column_was_there_has_nothing_in_it() -> None:
    journal = [{name: value for name, value in to_json(ROWS[6]).items() if name != "cause"}]
    assert tables.from_json(journal, SegmentRow) == tables.from_rows(ROWS[6:7], SegmentRow)
