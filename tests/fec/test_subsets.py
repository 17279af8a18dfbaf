"""A list of triplets: known by what it names, whatever its order, and refused by line where it is none."""

from pathlib import Path

import pytest

from fec.errors import ConfigurationError
from fec.subsets import COLUMNS, parse, read_subset, to_csv

ROWS = [
    {"split": "train", "line": 4, "face_a": "a" * 16, "face_b": "b" * 16, "face_c": "c" * 16},
    {"split": "train", "line": 9, "face_a": "d" * 16, "face_b": "b" * 16, "face_c": "c" * 16},
    {"split": "eval", "line": 4, "face_a": "a" * 16, "face_b": "b" * 16, "face_c": "c" * 16},
]


def test_a_list_is_read_back_as_it_was_written() -> None:
    subset = parse(to_csv(ROWS), "x")
    assert subset.of("train") == {f"{'a' * 16} {'b' * 16} {'c' * 16}", f"{'d' * 16} {'b' * 16} {'c' * 16}"}
    assert len(subset.of("eval")) == 1


def test_the_fingerprint_is_of_what_is_named_and_not_of_its_order() -> None:
    fingerprint = parse(to_csv(ROWS), "x").fingerprint
    assert parse(to_csv(ROWS[::-1]), "x").fingerprint == fingerprint
    assert parse(to_csv(ROWS[1:]), "x").fingerprint != fingerprint
    assert parse(to_csv([{**row, "split": "train"} for row in ROWS]), "x").fingerprint != fingerprint


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no column split"),
        (b"split,face_a,face_b\n", "no column face_c"),
        (",".join(COLUMNS).encode() + b"\n", "no triplet in it"),
        (to_csv([{**ROWS[0], "split": "test"}]), "line 2: expected a split and three ids"),
        (to_csv([ROWS[0], {**ROWS[0], "face_b": "../x"}]), "line 3: expected a split and three ids"),
        (b"\xff\xfe", "not a CSV"),
    ],
)
def test_what_is_no_list_is_one_line(data: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse(data, "subset x")


@pytest.mark.parametrize("name", ["none.csv", "none/none.csv"])
def test_a_list_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no such"):
        read_subset(f"{tmp_path}/{name}")
