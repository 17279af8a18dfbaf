"""The columns that are kept of a list: what they say of each triplet is what its own row says."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.plan.inventory import Inventory
from components.plan.step import Parameters, run
from fec import tables
from fec.annotation_blocks import Block, blocks_of
from fec.annotation_faces import Faces
from fec.annotations import consensus


def row(number: int, votes: list[int]) -> str:
    faces = ",".join(f'"http://h{number % 3}.test/{number + at}.jpg",0.1,0.5,0.2,0.6' for at in range(3))
    return f"{faces},ONE_CLASS_TRIPLET,{','.join(f'r{at},{vote}' for at, vote in enumerate(votes))}"


def inventory(*rows: str) -> Inventory:
    faces = Faces()
    blocks = blocks_of(io.BytesIO("\n".join(rows).encode()), faces)
    return Inventory((block for block in blocks if isinstance(block, Block)), faces)


@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=9), min_size=1, max_size=12),
    st.sampled_from([0.5, 2 / 3, 1]),
)
@settings(max_examples=60, deadline=None)
def test_the_consensus_of_each_triplet_is_that_of_its_votes(votes: list[list[int]], agreement: float) -> None:
    found = inventory(*(row(number, some) for number, some in enumerate(votes))).consensuses(agreement)
    assert found.tolist() == [consensus(tuple(some), agreement) or 0 for some in votes]


def test_the_first_triplets_keep_the_photographs_and_faces_they_use() -> None:
    kept = inventory(*(row(number, [1, 2, 2][: 1 + number % 3]) for number in range(0, 30, 2)))
    kept.keep_first(2)
    named = [f"http://h{number}.test/{number + at}.jpg" for number in (0, 2) for at in range(3)]
    assert list(kept.urls_in_turn()) == named
    assert (kept.image_of.tolist(), len(kept.edges)) == ([0, 1, 2, 3, 4, 5], 6)
    assert (list(kept.votes), list(kept.vote_ends)) == ([1, 1, 2, 2], [0, 1, 4])


def test_tables_of_many_row_groups_have_the_rows_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(row(number, [1, 2, 3, 3][: 1 + number % 4]) for number in range(40)) + "\n")
    run(Parameters(str(tmp_path / "one"), "train", str(path), num_shards=3))
    monkeypatch.setattr(tables, "ROW_GROUP", 7)
    run(Parameters(str(tmp_path / "many"), "train", str(path), num_shards=3))
    for name in ("images", "faces", "triplets"):
        one, many = (tables.parquet_file(tmp_path / root / f"plan/train/{name}.parquet") for root in ("one", "many"))
        assert (one.num_row_groups, many.num_row_groups) == (1, -(-one.metadata.num_rows // 7))
        assert many.read().equals(one.read())
