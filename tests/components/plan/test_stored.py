"""Where what is stored of a plan's images is found: of several places, the one that the rule says."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.plan.stored import stored_elsewhere
from fec import tables
from fec.outcomes import ImageOutcome
from fec.rows import SegmentRow
from fec.storage import open_storage

AT = datetime(2026, 1, 1, tzinfo=UTC)
# Planned in another order than that of their ids, each for a shard.
PLANNED = {"d": 0, "b": 1, "c": 0, "a": 1}

Segment = tuple[str, int, int]
SEGMENTS = st.tuples(st.sampled_from(["train", "eval"]), st.integers(0, 2), st.integers(0, 2))
ROWS = st.lists(st.tuples(st.sampled_from("abcdxy"), st.sampled_from(ImageOutcome)), min_size=1, max_size=6)


def expected(manifests: dict[Segment, list[tuple[str, ImageOutcome]]]) -> dict[str, Segment]:
    """A fetched original wins, then the shard the image is planned for, then the later segment."""
    best: dict[str, tuple[tuple[bool, bool, int, str, int], Segment]] = {}
    for (split, shard, segment), rows in manifests.items():
        for image, outcome in rows:
            if image in PLANNED and not outcome.transient:
                at_home = (split, shard) == ("train", PLANNED[image])
                rank = (outcome is ImageOutcome.FETCHED, at_home, segment, split, shard)
                best[image] = max(best.get(image, (rank, (split, shard, segment))), (rank, (split, shard, segment)))
    return {image: place for image, (_, place) in sorted(best.items())}


@given(st.dictionaries(SEGMENTS, ROWS, max_size=8))
@settings(max_examples=30, deadline=None)
def test_of_several_places_the_rule_says_which(
    tmp_path_factory: pytest.TempPathFactory, manifests: dict[Segment, list[tuple[str, ImageOutcome]]]
) -> None:
    root: Path = tmp_path_factory.mktemp("root")
    storage = open_storage(str(root))
    for (split, shard, segment), rows in manifests.items():
        table = tables.from_rows([SegmentRow(image, "", outcome, "", 1, AT) for image, outcome in rows], SegmentRow)
        tables.write_table(storage, f"images/{split}/{shard}/segment-{segment:05d}.parquet", table)
    found = stored_elsewhere(storage, "train", pa.array(PLANNED), np.array(list(PLANNED.values()), np.int32))
    rows_found = [tuple(row.values()) for row in found.to_pylist()]
    assert rows_found == [(image, *place) for image, place in expected(manifests).items()]
