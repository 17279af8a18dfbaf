"""Where things lie, and which shards a group holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fec import layout
from fec.errors import ConfigurationError
from fec.layout import Group


@given(st.integers(0, 3000), st.integers(1, 300))
def test_groups_hold_every_shard_once(num_shards: int, max_groups: int) -> None:
    groups = Group.all(num_shards, max_groups)
    assert 1 <= len(groups) <= max_groups
    assert sorted(shard for group in groups for shard in group.of(num_shards)) == list(range(num_shards))
    sizes = [len(list(group.of(num_shards))) for group in groups]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 500), st.integers(1, 500))
def test_a_group_reads_back_from_its_text(index: int, more: int) -> None:
    group = Group(index, index + more)
    assert Group.parse(str(group)) == group


@pytest.mark.parametrize("text", ["", "1", "1/", "/1", "1/1", "2/1", "-1/2", "a/b", "1/2/3", " 1/2", "0/0", "1.0/2"])
def test_anything_else_is_no_group(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected INDEX/COUNT"):
        Group.parse(text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (layout.plan_dir("train"), "plan/train"),
        (layout.segment("eval", 7, 3), "images/eval/7/segment-00003"),
        (layout.faces_dir("train", 0), "train/0"),
        (layout.collect_dir("eval"), "collect/eval"),
        (layout.record_file("train", 0, 100), "records/fec_base-train-00000-of-00100"),
        (layout.record_file("eval", 3, 10), "records/fec_base-dev-00003-of-00010"),
        (layout.record_done_dir("eval", 3, 10), "records/_done/fec_base-dev-00003-of-00010"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize("split", ["", "test", "dev", "../train"])
def test_an_unknown_split_has_no_place(split: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one of train, eval"):
        layout.plan_dir(split)
