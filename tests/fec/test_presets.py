"""fec_base is everything; fec_tiny the first of it, in fewer files."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fec.errors import ConfigurationError
from fec.presets import BASE, TINY, first_row, preset_named


@pytest.mark.parametrize(
    ("split", "collected", "triplets", "record_shards"),
    [("train", 400_000, 2000, 1), ("eval", 50_000, 500, 1), ("train", 2000, 2000, 7), ("train", 4000, 2000, 4)],
)
def test_fec_tiny_is_a_sample(split: str, collected: int, triplets: int, record_shards: int) -> None:
    shards = 80 if collected > 4000 else 7
    assert TINY.triplets(split, collected) == triplets
    assert TINY.record_shards(split, collected, shards) == record_shards
    assert (BASE.triplets(split, collected), BASE.record_shards(split, collected, shards)) == (collected, shards)


@given(st.integers(1, 10**6), st.integers(1, 500))
def test_record_shards_cover_all_rows_evenly(rows: int, record_shards: int) -> None:
    starts = [first_row(number, rows, record_shards) for number in range(record_shards + 1)]
    sizes = [end - start for start, end in pairwise(starts)]
    assert (starts[0], starts[-1]) == (0, rows)
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 1000), st.integers(1, 50))
def test_a_shard_begins_where_the_rows_that_were_given_its_number_do(rows: int, record_shards: int) -> None:
    """Collect writes ``row * record_shards // rows`` beside each row."""
    for number in range(record_shards):
        held = range(first_row(number, rows, record_shards), first_row(number + 1, rows, record_shards))
        assert {row * record_shards // rows for row in held} <= {number}


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"fec_huge.*fec_base, fec_tiny"):
        preset_named("fec_huge")
