"""Which of many pictures look nearly the same, as they are or mirrored: pairs of 256 bits that differ in few.

In a mirror the odd frequencies from left to right change their sign, and with it their bit; the even ones stay. (The
median that a bit is held against moves a little, which turns a few bits more.)

If two differ in at most 31 bits, one of their sixteen words of 16 bits is the same but for at most one bit. So
only pairs with such a word are compared: a few in a thousand of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.collect.parameters import MOST_ALIKE

Looks: TypeAlias = NDArray[np.uint64]
"""[n, 4]: the 256 bits of n pictures, as the faces step stores them."""

# In each of a look's rows of 16 the first, third, fifth … frequency.
_ODD: Final = np.uint64(0xAAAA_AAAA_AAAA_AAAA)
_WORDS: Final = 16
# Pairs compared at a time.
_AT_A_TIME: Final = 1 << 16


def looks(stored: Sequence[bytes]) -> Looks:
    """The bits of what is stored, 32 bytes each."""
    return np.frombuffer(b"".join(stored), np.uint64).reshape(-1, 4)


def mirrored(some: Looks) -> Looks:
    """What the pictures' mirror images look like."""
    return some ^ _ODD


def nearest(some: Looks, others: Looks, within: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each of ``some`` the place of the one of ``others`` that looks most like it, or like its mirror image,
    and the bits they differ in.

    -1 and -1 where none differs in at most ``within`` bits (0 to MOST_ALIKE); of equally near ones the first.
    """
    distinct, first = np.unique(others, axis=0, return_index=True)
    wanted, inverse = np.unique(some, axis=0, return_inverse=True)
    best = np.full(len(wanted), (MOST_ALIKE + 1) * (len(others) + 1), np.int64)
    for seen in (distinct, mirrored(distinct)):
        for rows, at, bits in _pairs(wanted, seen, within):
            np.minimum.at(best, rows, bits * (len(others) + 1) + first[at])
    bits, place = np.divmod(best, len(others) + 1)
    place[bits > MOST_ALIKE] = bits[bits > MOST_ALIKE] = -1
    return place[inverse.ravel()], bits[inverse.ravel()]


def repeated(some: Looks, owners: NDArray[np.int64], within: int) -> NDArray[np.bool_]:
    """Which of ``some`` differ in at most ``within`` bits from another of another owner (a number each), or its mirror
    image."""
    distinct, inverse = np.unique(some, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    lowest, highest = np.full(len(distinct), np.iinfo(np.int64).max), np.full(len(distinct), -1)
    np.minimum.at(lowest, inverse, owners)
    np.maximum.at(highest, inverse, owners)
    found = lowest != highest
    for seen in (distinct, mirrored(distinct)):
        for rows, at, _ in _pairs(distinct, seen, within, once=True):
            other = (lowest[rows] != lowest[at]) | (highest[rows] != highest[at])
            found[rows[other]] = found[at[other]] = True
    return np.asarray(found[inverse])


def _pairs(
    some: Looks, others: Looks, within: int, *, once: bool = False
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of ``some``, rows of ``others`` and the bits they differ in, at most ``within``; a pair may come again.

    ``once``: where both are the same, or the others mirrored, each pair one way round only, and none of a row with
    itself.
    """
    ours, theirs = (values.view(np.uint16).reshape(-1, _WORDS) for values in (some, others))
    # Half of the bits is enough to tell nearly all that differ, and is read in half the time.
    halves, other_halves = (np.ascontiguousarray(values[:, :2]) for values in (some, others))
    flips = [np.uint16(0), *(np.uint16(1 << bit) for bit in range(16))]
    for word in range(_WORDS):
        order = np.argsort(theirs[:, word], kind="stable")
        starts = np.searchsorted(theirs[order, word], np.arange((1 << 16) + 1))
        for flip in flips:
            keys = (ours[:, word] ^ flip).astype(np.int64)
            counts = starts[keys + 1] - starts[keys]
            for rows in _portions(counts):
                repeats = counts[rows]
                row = np.repeat(rows, repeats)
                offset = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
                at = order[np.repeat(starts[keys[rows]], repeats) + offset]
                if once:
                    forward = at > row
                    row, at = row[forward], at[forward]
                near = _ones(halves[row] ^ other_halves[at]) <= within
                row, at = row[near], at[near]
                bits = _ones(some[row] ^ others[at])
                near = bits <= within
                yield row[near], at[near], bits[near]


def _ones(rows: Looks) -> NDArray[np.int64]:
    """How many bits are set in each of ``rows``."""
    # NumPy 1, which Tensor2Tensor asks for, cannot count them.
    bits = np.bitwise_count(rows) if hasattr(np, "bitwise_count") else np.unpackbits(rows.view(np.uint8), axis=1)
    counted: NDArray[np.int64] = bits.sum(axis=1, dtype=np.int64)
    return counted


def _portions(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows with a count, so many at a time that their counts come to about _AT_A_TIME."""
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    for portion in range(int(ends[-1]) // _AT_A_TIME + 1 if len(ends) else 0):
        yield rows[(ends > portion * _AT_A_TIME) & (ends <= (portion + 1) * _AT_A_TIME)]
