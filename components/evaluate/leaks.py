"""Eval triplets that say less, because train has seen a face, a photograph or an account of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet
from components.evaluate.parameters import LEVELS
from fec import layout, tables
from fec.accounts import accounts
from fec.layout import EVAL, SPLITS, TRAIN
from fec.storage import Storage

FACES, PHOTOGRAPHS, ACCOUNTS = LEVELS


@dataclass(frozen=True)
class Excluded:
    """How many ``of`` all eval triplets were left out, because they share something of ``level`` with train."""

    level: str
    count: int
    of: int


def sharing(storage: Storage, triplets: Sequence[EvalTriplet]) -> dict[str, NDArray[np.bool_]]:
    """Which of the eval ``triplets`` share something of each of LEVELS with the surviving triplets of train."""
    faces = {split: _images_of_faces(storage, split) for split in SPLITS}
    account = accounts({image: url for split in SPLITS for image, url in _urls(storage, split).items()})

    def owner(image: str) -> str:
        return account.get(image, image)

    images = set(faces[TRAIN].values())
    seen: dict[str, set[Any]] = {FACES: set(faces[TRAIN]), PHOTOGRAPHS: images, ACCOUNTS: {*map(owner, images)}}
    shared: dict[str, set[str]] = {
        FACES: {face for face in faces[EVAL] if face in seen[FACES]},
        PHOTOGRAPHS: {face for face, image in faces[EVAL].items() if image in seen[PHOTOGRAPHS]},
        ACCOUNTS: {face for face, image in faces[EVAL].items() if owner(image) in seen[ACCOUNTS]},
    }
    return {
        level: np.array([not shared[level].isdisjoint(triplet.faces) for triplet in triplets], dtype=bool)
        for level in LEVELS
    }


def _images_of_faces(storage: Storage, split: str) -> dict[str, str]:
    path = f"{layout.collect_dir(split)}/{layout.FACES_TABLE}"
    table = tables.read_table(storage, path, columns=["face_id", "image_id"])
    return dict(zip(table["face_id"].to_pylist(), table["image_id"].to_pylist(), strict=True))


def _urls(storage: Storage, split: str) -> dict[str, str]:
    """The addresses of a split's photographs; none where the plan is gone, so that photographs stand for themselves."""
    try:
        table = tables.read_table(storage, f"{layout.plan_dir(split)}/images.parquet", columns=["image_id", "url"])
    except FileNotFoundError:
        return {}
    return dict(zip(table["image_id"].to_pylist(), table["url"].to_pylist(), strict=True))
