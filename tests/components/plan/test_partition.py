"""The partition: every image in one shard, every host in as few as its rate needs, whatever the order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.plan.partition import partition, shards_per_host

# Ids as the plan has them: unique, hexadecimal. Few hosts, so that some are large.
images = st.dictionaries(
    st.text("0123456789abcdef", min_size=4, max_size=6), st.sampled_from("abcdefgh"), max_size=200
).map(lambda hosts: list(hosts.items()))
shards = st.integers(1, 40)


@given(images, shards, st.integers(1, 5))
def test_every_image_is_in_exactly_one_shard(images: list[tuple[str, str]], shards: int, width: int) -> None:
    shard_of = partition(images, shards, width)
    assert shard_of.keys() == {image for image, _ in images}
    assert set(shard_of.values()) <= set(range(shards))


@given(images, shards)
def test_a_host_lives_in_one_shard(images: list[tuple[str, str]], shards: int) -> None:
    shard_of = partition(images, shards)
    for host in {host for _, host in images}:
        assert len({shard_of[image] for image, its_host in images if its_host == host}) == 1


@given(images, shards, st.integers(2, 5))
def test_a_host_one_task_cannot_serve_is_spread_evenly(images: list[tuple[str, str]], shards: int, width: int) -> None:
    shard_of = partition(images, shards, width)
    for host, count in Counter(host for _, host in images).items():
        parts = Counter(shard_of[image] for image, its_host in images if its_host == host)
        assert len(parts) == min(width, shards, count)
        assert max(parts.values()) - min(parts.values()) <= 1


@given(images, shards, st.integers(1, 3), st.randoms())
def test_the_order_of_the_images_makes_no_difference(
    images: list[tuple[str, str]], shards: int, width: int, draw: object
) -> None:
    shuffled = list(images)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    assert partition(shuffled, shards, width) == partition(images, shards, width)


@given(images, shards)
def test_the_largest_shard_is_no_larger_than_it_must_be(images: list[tuple[str, str]], shards: int) -> None:
    loads = Counter(partition(images, shards).values())
    largest_host = max(Counter(host for _, host in images).values(), default=0)
    # Graham's bound for placing the largest first.
    assert max(loads.values(), default=0) <= max(largest_host, 4 / 3 * len(images) / shards + largest_host)


def test_small_hosts_fill_up_beside_a_large_one() -> None:
    images = [(f"large{i}", "cdn") for i in range(100)] + [(f"small{i}", f"blog{i}") for i in range(30)]
    loads = Counter(partition(images, 4).values())
    assert sorted(loads.values()) == [10, 10, 10, 100]


@pytest.mark.parametrize(
    ("shards", "rate", "task_rate", "expected"),
    [(8, 20, 200, 1), (8, 200, 200, 1), (8, 201, 200, 2), (8, 5000, 200, 8), (1, 1000, 200, 1)],
)
def test_a_host_gets_more_shards_only_where_one_task_cannot_reach_the_rate(
    shards: int, rate: float, task_rate: float, expected: int
) -> None:
    assert shards_per_host(shards, rate, task_rate) == expected
