"""What manifests say of images, told one manifest at a time: in the end what is known of all of them together."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fec import tables
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome
from fec.row_types import names
from fec.rows import SegmentRow
from fec.segments import StoredImage, places_among, sorted_ids, stored_images, told
from fec.storage import Storage, open_storage

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
IDS = pa.chunked_array([[f"{number:02}" for number in range(0, 20, 2)]])

# An image of twenty and how it ended; half of the images are among IDS.
Row = tuple[int, ImageOutcome]


def put(storage: Storage, segment: int, rows: list[Row]) -> None:
    told = [
        SegmentRow(f"{image:02}", "http://example.org/", outcome, f"{segment}, {at}", 1, AT)
        for at, (image, outcome) in enumerate(rows)
    ]
    table = tables.from_rows(told, SegmentRow)
    tables.write_table(storage, f"images/train/0/segment-{segment:05d}.parquet", table)


@given(st.lists(st.lists(st.tuples(st.integers(0, 19), st.sampled_from(ImageOutcome)), max_size=12), max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_last_that_is_told_of_an_image_is_what_is_known_of_it(
    tmp_path_factory: pytest.TempPathFactory, segments: list[list[Row]]
) -> None:
    storage = open_storage(str(tmp_path_factory.mktemp("root")))
    for number, rows in enumerate(segments):
        put(storage, number, rows)
    known: dict[str, StoredImage] = {}
    for one in told(storage, "train", 0, names(SegmentRow), sorted_ids(IDS)):
        ids = IDS.take(pa.array(one.places)).to_pylist()
        rows_told = list(tables.to_rows(one.rows, SegmentRow))
        assert [row.image_id for row in rows_told] == ids
        known |= {row.image_id: StoredImage(**vars(row), segment=one.segment) for row in rows_told}
    wanted = set(IDS.to_pylist())
    assert known == {name: row for name, row in stored_images(storage, "train", 0).items() if name in wanted}


def test_every_manifest_is_told_by_name_and_digest_also_one_that_says_nothing_new(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    for number, image in enumerate((2, 3, 2)):
        put(storage, number, [(image, ImageOutcome.GONE if number else ImageOutcome.FETCHED)])
    found = list(told(storage, "train", 0, ["outcome"], sorted_ids(IDS)))
    assert [(one.segment, len(one.rows)) for one in found] == [(0, 1), (1, 0), (2, 0)]
    for one in found:
        content = storage.read(f"images/train/0/{one.manifest}")
        assert one.sha256 == hashlib.sha256(content).hexdigest()


def test_only_those_named_are_told(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    for number in range(3):
        put(storage, number, [(2 * number, ImageOutcome.GONE)])
    named = ["segment-00001.parquet"]
    assert [one.segment for one in told(storage, "train", 0, ["outcome"], sorted_ids(IDS), named)] == [1]


def test_an_outcome_that_does_not_exist_spoils_the_manifest(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    table = tables.from_rows([SegmentRow("02", "http://example.org/", ImageOutcome.GONE, "", 1, AT)], SegmentRow)
    place = table.schema.get_field_index("outcome")
    path = "images/train/0/segment-00000.parquet"
    tables.write_table(storage, path, table.set_column(place, table.schema.field(place), [["lost"]]))
    with pytest.raises(RunFailed, match=r"segment-00000\.parquet cannot be read"):
        list(told(storage, "train", 0, ["outcome"], sorted_ids(IDS)))


def test_an_id_that_begins_as_another_is_not_that_one() -> None:
    ids = sorted_ids(pa.chunked_array([["ab", "abc"], ["b"]]))
    found, places = places_among(ids, pa.chunked_array([["abcd", "b", "a", "abc", "", "é"]]))
    assert found.tolist() == [False, True, False, True, False, False]
    assert places.tolist() == [2, 1]


def test_ids_that_are_not_sorted_are_refused() -> None:
    with pytest.raises(ValueError, match="not sorted"):
        sorted_ids(pa.chunked_array([["b"], ["a"]]))
