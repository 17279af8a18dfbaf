"""A part of the train split that shares no face, photograph or (as far as addresses tell) account with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fec import layout, tables
from fec.accounts import accounts
from fec.layout import TRAIN
from fec.storage import Storage

# With fewer the accuracy is known to no more than 5 points; more cost time.
AT_LEAST: Final = 100
AT_MOST: Final = 2_000


@dataclass(frozen=True)
class Parts:
    """Rows of the triplets to train on, and of those held out (none, if that would cost too many)."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def divide(owners: NDArray[np.int64], share: float, seed: int) -> Parts:
    """Parts of the triplets whose faces belong to ``owners`` [n, 3] that share no owner.

    A triplet with owners in both parts is in neither; at most ``share`` of all are lost to training.
    """
    everything = np.arange(len(owners))
    budget = int(share * len(owners))
    uses = np.bincount(owners.ravel())
    apart = np.zeros(len(uses), bool)
    cost = taken = 0
    for row in np.random.default_rng([seed % 2**63, 1]).permutation(len(owners)):
        new = {int(owner) for owner in owners[row] if not apart[owner]}
        price = sum(int(uses[owner]) for owner in new)
        if cost + price > budget:
            # One that everybody is in triplets with must not end the search; a few in vain do.
            taken += 1
            if taken > AT_LEAST:
                break
            continue
        apart[list(new)] = True
        cost += price
        if apart.sum() >= 3 * AT_MOST:
            break
    inside = apart[owners]
    held_out = everything[inside.all(axis=1)][:AT_MOST]
    if len(held_out) < AT_LEAST:
        return Parts(everything, everything[:0])
    return Parts(everything[~inside.any(axis=1)], held_out)


def owners_of(storage: Storage, face_ids: Sequence[str]) -> NDArray[np.int64]:
    """A number for each face: of the account its photograph's address names (``fec.accounts``), else of the photograph.

    A root whose manifests are gone tells faces only.
    """
    try:
        faces = tables.read_table(
            storage, f"{layout.collect_dir(TRAIN)}/{layout.FACES_TABLE}", columns=["face_id", "image_id"]
        )
        images = tables.read_table(storage, f"{layout.plan_dir(TRAIN)}/images.parquet", columns=["image_id", "url"])
    except FileNotFoundError:
        return np.arange(len(face_ids))
    image_of = dict(zip(faces["face_id"].to_pylist(), faces["image_id"].to_pylist(), strict=True))
    account_of = accounts(dict(zip(images["image_id"].to_pylist(), images["url"].to_pylist(), strict=True)))
    numbers: dict[str, int] = {}
    owners = []
    for face in face_ids:
        image: str = image_of.get(face, face)
        owners.append(numbers.setdefault(account_of.get(image, image), len(numbers)))
    return np.array(owners, np.int64)
