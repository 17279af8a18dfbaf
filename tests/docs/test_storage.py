"""The page on storage names every column of every table, and those that may be null."""

import re
from typing import Any

import pytest

from fec import rows, tables
from tests.docs.fences import REPOSITORY

TABLES = {
    "plan: images.parquet": rows.PlannedImage,
    "plan: faces.parquet": rows.PlannedFace,
    "plan: triplets.parquet": rows.PlannedTriplet,
    "plan: stored.parquet": rows.StoredElsewhere,
    "images: segment-NNNNN.parquet": rows.SegmentRow,
    "faces.parquet, beside the crops": rows.VerifiedFace,
    "collect: triplets.parquet": rows.CollectedTriplet,
    "collect: faces.parquet": rows.CollectedFace,
    "collect: train/leaks.parquet": rows.LeakingFace,
    "reports: embeddings.parquet": rows.EmbeddedFace,
}


def sections() -> dict[str, str]:
    """What stands under each heading of the third level."""
    parts = re.split(r"^### (.+)\n", (REPOSITORY / "docs" / "storage.md").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("heading", "row"), TABLES.items(), ids=list(TABLES))
def test_every_column_is_told_of(heading: str, row: Any) -> None:
    named = [line.split("|")[1] for line in sections()[heading].splitlines() if line.startswith("| `")]
    found = {name: bool(mark) for cell in named for name, mark in re.findall(r"`(\w+)`( \?)?", cell)}
    assert found == {field.name: field.nullable for field in tables.schema(row)}


def test_no_table_is_left_out() -> None:
    assert set(sections()) == set(TABLES)
