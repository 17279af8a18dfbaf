"""Tables written and read a part at a time are those written and read whole."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fec import identity, tables
from fec.outcomes import ImageOutcome
from fec.rows import CollectedFace, SegmentRow
from fec.storage import LocalStorage

AT = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = tables.ROW_GROUP + 5000


def faces() -> pa.Table:
    """Collected faces, more than a row group of them."""
    numbers = [f"{number:016x}" for number in range(COUNT)]
    columns = {
        "face_id": numbers,
        "image_id": numbers[::-1],
        "shard": np.arange(COUNT, dtype=np.int32) // 50,
        "crop_name": [f"cropped@{number}.jpg" for number in range(COUNT)],
        "crop_sha256": numbers,
        "confidence": np.linspace(0, 1, COUNT, dtype=np.float32),
        "detector": ["yunet"] * COUNT,
    }
    return pa.table([columns[name] for name in tables.schema(CollectedFace).names], schema=tables.schema(CollectedFace))


def test_row_groups_are_the_bytes_of_the_whole_table(tmp_path: Path) -> None:
    storage, table = LocalStorage(str(tmp_path)), faces()
    whole = tables.write_table(storage, "whole.parquet", table)
    groups = (table.slice(start, tables.ROW_GROUP) for start in range(0, COUNT, tables.ROW_GROUP))
    parts = tables.write_row_groups(storage, "parts.parquet", CollectedFace, groups)
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert parts == whole
    assert not (tmp_path / ".work").exists()


def test_batches_are_the_table_in_its_order(tmp_path: Path) -> None:
    storage, table = LocalStorage(str(tmp_path)), faces()
    tables.write_table(storage, "faces.parquet", table)
    columns = ["confidence", "face_id"]
    batches = list(tables.read_batches(storage, "faces.parquet", columns))
    assert max(map(len, batches)) <= tables.ROW_GROUP
    for name in columns:
        assert pa.chunked_array([batch[name] for batch in batches]).equals(table[name])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([("shard", "in", [0])], range(50)),
        ([("shard", "in", [1, 1_400])], [*range(50, 100), *range(70_000, 70_050)]),  # of a row group each
        ([("shard", "in", [0]), ("face_id", "=", f"{7:016x}")], [7]),
        ([("shard", "in", [-1])], []),
    ],
)
def test_rows_by_what_is_in_a_column_of_any_row_group(
    tmp_path: Path, filters: list[tuple[str, str, Any]], expected: Sequence[int]
) -> None:
    storage, table = LocalStorage(str(tmp_path)), faces()
    tables.write_table(storage, "faces.parquet", table)
    found = tables.read_table(storage, "faces.parquet", columns=["crop_name"], filters=filters)
    assert found.schema.names == ["crop_name"]
    assert found["crop_name"].to_pylist() == [f"cropped@{number}.jpg" for number in expected]
    whole = list(tables.read_rows(storage, "faces.parquet", CollectedFace, filters=filters))
    assert [row.crop_name for row in whole] == found["crop_name"].to_pylist()


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    tables.write_table(storage, "faces.parquet", faces())
    with pytest.raises(pa.ArrowInvalid, match="votes"):
        list(tables.read_batches(storage, "faces.parquet", ["face_id", "votes"]))


@pytest.mark.parametrize("count", [0, 1, 4096, 10_000])
def test_the_digest_of_a_faces_manifest_is_the_fingerprint_of_its_rows(count: int) -> None:
    rows = [(f"{number:016x}", "ok" if number % 3 else "no_face", None, f"é{number}") for number in range(count)]
    assert tables.verified_digest(iter(rows)) == identity.fingerprint({"faces": [list(row) for row in rows]})


def test_a_column_that_came_later_is_null_where_a_table_lacks_it() -> None:
    schema = tables.schema(SegmentRow)
    table = tables.from_rows([SegmentRow("a", "http://a/", ImageOutcome.GONE, "", 1, AT)], SegmentRow)
    older = tables.to_bytes(table.drop_columns(["cause"]))
    wanted = pa.schema([schema.field(name) for name in ("cause", "image_id")])
    assert tables.columns_in(older, wanted).to_pylist() == [{"cause": None, "image_id": "a"}]


def test_a_table_without_a_column_that_was_always_there_is_none() -> None:
    table = tables.from_rows([SegmentRow("a", "http://a/", ImageOutcome.GONE, "", 1, AT)], SegmentRow)
    spoiled = tables.to_bytes(table.drop_columns(["outcome"]))
    with pytest.raises(KeyError, match="outcome"):
        tables.columns_in(spoiled, tables.schema(SegmentRow))
