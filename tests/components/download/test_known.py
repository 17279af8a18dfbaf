"""What is known of a shard's images: as its manifests say, in a few bytes an image."""

import hashlib
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.download.archive import Look
from components.download.known import known
from fec import tables
from fec.outcomes import ImageOutcome
from fec.rows import SegmentRow
from fec.segments import sorted_ids
from fec.storage import Storage, open_storage

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
SHA256 = hashlib.sha256(b"a").hexdigest()
GONE, FETCHED = ImageOutcome.GONE, ImageOutcome.FETCHED


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


def put(storage: Storage, segment: int, *rows: SegmentRow) -> None:
    table = tables.from_rows(rows, SegmentRow)
    tables.write_table(storage, f"images/train/0/segment-{segment:05d}.parquet", table)


def row(name: str, outcome: ImageOutcome, at: datetime = AT, **more: object) -> SegmentRow:
    return SegmentRow(name, f"http://example.org/{name}", outcome, "", 1, at, **more)  # type: ignore[arg-type]


def test_of_each_image_what_counts_is_known_and_which_segment_tells_it(storage: Storage) -> None:
    later = AT + timedelta(seconds=1)
    put(storage, 0, row("a", GONE), row("b", ImageOutcome.REFUSED, cause="user_agent=x"), row("z", GONE))
    put(storage, 1, row("a", FETCHED, later, sha256=SHA256, archive="http://t/", archive_outcome="fetched"))
    ids = sorted_ids(pa.chunked_array([["a", "b", "c"]]))
    found = known(storage, "train", 0, ids, digests=True)
    refused, archived = Look("refused", cause="user_agent=x"), Look("fetched", "http://t/", "fetched")
    assert [found.look(place) for place in range(3)] == [archived, refused, None]
    assert found.tried_at.tolist() == [later.timestamp() * 1000, AT.timestamp() * 1000, 0]
    assert found.segment.tolist() == [1, 0, -1]
    assert list(found.sha256()) == [SHA256, None, None]
    assert found.counts() == Counter({archived: 1, refused: 1})
    assert found.those(lambda look: look.outcome == "refused").tolist() == [False, True, False]
    assert list(found.manifests) == ["segment-00000.parquet", "segment-00001.parquet"]


def test_of_a_shard_that_was_never_worked_nothing_is_known(storage: Storage) -> None:
    found = known(storage, "train", 0, sorted_ids(pa.chunked_array([["a", "b"]])))
    assert [found.look(0), found.look(1)] == [None, None]
    assert not found.those(lambda look: True).any()
    assert not found.counts()


def test_what_is_held_of_an_image_is_some_bytes(storage: Storage) -> None:
    names = [f"{number:016x}" for number in range(40_000)]
    for segment, start in enumerate(range(0, len(names), 4000)):
        some = names[start : start + 4000]
        put(storage, segment, *(row(name, FETCHED, sha256=hashlib.sha256(name.encode()).hexdigest()) for name in some))
    ids = sorted_ids(pa.chunked_array([names]))
    tracemalloc.start()
    try:
        found = known(storage, "train", 0, ids, digests=True)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.all(found.segment == np.arange(len(names)) // 4000)
    assert held < 64 * len(names)
    assert peak < 64 * len(names) + (4 << 20)  # and what one manifest takes
