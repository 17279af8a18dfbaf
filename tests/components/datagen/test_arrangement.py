"""Triplets that share faces follow one another, and every face comes when it is first needed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.datagen.arrangement import arrange, most_held

Rows = NDArray[np.int32]


def random_triplets(count: int, faces: int, clusters: int = 1, seed: int = 0) -> Rows:
    """Triplets of ``clusters`` sets of faces that share none, in random order."""
    random = np.random.default_rng(seed)
    size = faces // clusters
    return np.array(
        [random.choice(size, 3, replace=False) + size * random.integers(clusters) for _ in range(count)], np.int32
    )


def held_at_the_most(used: Rows) -> int:
    """The most faces held when each is held from its first to its last triplet: counted the plain way."""
    last = {face: place for place, faces in enumerate(used.tolist()) for face in faces}
    held: set[int] = set()
    most = 0
    for place, faces in enumerate(used.tolist()):
        held |= set(faces)
        most = max(most, len(held))
        held -= {face for face in faces if last[face] == place}
    return most


def test_every_triplet_and_every_used_face_is_there_once() -> None:
    used = random_triplets(500, 120)
    arrangement = arrange(used)
    assert sorted(arrangement.triplets.tolist()) == list(range(500))
    assert sorted(arrangement.faces.tolist()) == np.unique(used).tolist()
    counts = np.bincount(used.ravel())
    assert arrangement.uses.tolist() == counts[arrangement.faces].tolist()


@pytest.mark.parametrize("upto", [0, 1, 37, 500])
def test_the_first_faces_are_just_those_the_first_triplets_need(upto: int) -> None:
    used = random_triplets(500, 120)
    arrangement = arrange(used)
    needed = set(used[arrangement.triplets[:upto]].ravel().tolist())
    assert set(arrangement.faces[: arrangement.faces_until[upto]].tolist()) == needed


def test_clusters_that_share_no_face_come_one_after_the_other() -> None:
    used = random_triplets(2000, 400, clusters=20)
    arrangement = arrange(used)
    assert held_at_the_most(used) > 350
    assert held_at_the_most(used[arrangement.triplets]) <= 20


def test_the_same_triplets_give_the_same_order() -> None:
    first, second = (arrange(random_triplets(500, 120)) for _ in range(2))
    assert first.triplets.tolist() == second.triplets.tolist()


def test_what_a_reader_holds_is_counted_by_record_shard() -> None:
    used = random_triplets(300, 200, clusters=10)
    arrangement = arrange(used)
    assert most_held(arrangement, used, np.arange(301)) == held_at_the_most(used[arrangement.triplets])
    assert most_held(arrangement, used, np.array([0, 300])) == len(arrangement.faces)
