"""A part of the train split that shares no face, photograph or (as far as addresses tell) account with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.accounts import account_numbers
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
        faces = _columns(storage, f"{layout.collect_dir(TRAIN)}/{layout.FACES_TABLE}", "face_id", "image_id")
        images = f"{layout.plan_dir(TRAIN)}/images.parquet"
        account = account_numbers(
            url for batch in tables.read_batches(storage, images, ["url"]) for url in batch["url"].to_pylist()
        )
        known = _columns(storage, images, "image_id")["image_id"]
    except FileNotFoundError:
        return np.arange(len(face_ids))
    # A photograph by its number among those of the faces; then by its account, where it has one.
    photograph = faces["image_id"].dictionary_encode()
    at = pc.index_in(photograph.dictionary, value_set=known).fill_null(-1).to_numpy()
    named = np.where(at < 0, -1, account[at]) if len(account) else np.full(len(at), -1)
    accounts = int(account.max(initial=-1)) + 1
    owner = np.where(named >= 0, named, accounts + np.arange(len(named), dtype=np.int64))
    row = pc.index_in(pa.array(face_ids, pa.string()), value_set=faces["face_id"]).fill_null(-1).to_numpy()
    alone = accounts + len(named) + np.arange(len(row), dtype=np.int64)
    of_face = np.where(row < 0, alone, owner[photograph.indices.to_numpy()][row]) if len(faces["face_id"]) else alone
    _, first, place = np.unique(of_face, return_index=True, return_inverse=True)
    # Numbered as they come.
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place]


def _columns(storage: Storage, path: str, *names: str) -> dict[str, Any]:
    """These columns of a table, all of them text, as arrays of Arrow's."""
    batches = list(tables.read_batches(storage, path, names))
    return {name: pa.chunked_array([part[name] for part in batches], pa.string()).combine_chunks() for name in names}
