"""Pictures that look nearly the same are found as comparing all of them would find them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.collect.likeness import Looks, looks, mirrored, nearest, repeated


def bits(some: Looks, others: Looks) -> NDArray[np.int64]:
    """In how many bits each of ``some`` differs from each of ``others``, or its mirror image."""
    both = (np.bitwise_count(some[:, None] ^ seen[None]).sum(axis=2) for seen in (others, mirrored(others)))
    return np.asarray(np.minimum(*both), np.int64)


def many(count: int, seed: int) -> Looks:
    """Looks of which some are others with 0 to 40 bits turned."""
    chance = np.random.default_rng(seed)
    found = chance.integers(0, 256, (count, 32), dtype=np.uint8)
    for row in range(1, count):
        if chance.random() < 0.6:
            turned = np.unpackbits(found[int(chance.integers(0, row))])
            if chance.random() < 0.3:  # a mirror image
                turned[::2] ^= 1
            turned[chance.choice(256, int(chance.integers(0, 41)), replace=False)] ^= 1
            found[row] = np.packbits(turned)
    return looks([row.tobytes() for row in found])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 31), st.integers(0, 25), st.integers(0, 25))
def test_the_nearest_is_the_one_that_comparing_all_would_find(seed: int, within: int, ours: int, theirs: int) -> None:
    both = many(ours + theirs, seed)
    some, others = both[:ours], both[ours:]
    place, differ = nearest(some, others, within)
    for row in range(ours):
        all_of_them = bits(some[row : row + 1], others)[0]
        if len(all_of_them) and all_of_them.min() <= within:
            assert (place[row], differ[row]) == (all_of_them.argmin(), all_of_them.min())
        else:
            assert (place[row], differ[row]) == (-1, -1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 31), st.integers(0, 40), st.integers(1, 40))
def test_repeated_is_what_looks_like_one_of_another_owner(seed: int, within: int, count: int, owners: int) -> None:
    some = many(count, seed)
    owner = np.random.default_rng(seed).integers(0, owners, count)
    near = (bits(some, some) <= within) & (owner[:, None] != owner[None])
    assert repeated(some, owner, within).tolist() == near.any(axis=1).tolist()


@pytest.mark.parametrize("count", [3, 20_000])
def test_one_picture_many_times_takes_no_longer_than_once(count: int) -> None:
    some = np.repeat(many(1, 0), count, axis=0)
    assert repeated(some, np.arange(count), 31).all()
    assert nearest(some, some, 31)[0].tolist() == [0] * count


def test_numpy_1_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    some = np.random.default_rng(0).integers(0, 1 << 63, (200, 4), np.uint64)
    others = some ^ (np.uint64(1) << np.arange(200, dtype=np.uint64)[:, None] % np.uint64(64))
    by_numpy_2 = nearest(some, others, 31)
    monkeypatch.delattr(np, "bitwise_count")
    for one, other in zip(by_numpy_2, nearest(some, others, 31), strict=True):
        assert one.tolist() == other.tolist()
