"""Batches of shared faces hold what plain ones do, in fewer faces, in another order; the same again when resumed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train.devices import ALONE, Devices, Hosts, refuse_unshared
from components.train.examples import Examples
from components.train.input_pipeline import Faces, batches_of_shared_faces
from components.train.models import Triplets
from components.train.sharing import SharedBatch, shared_batches
from components.train.step import Parameters, run
from components.train.steps import stepper
from fec.errors import ConfigurationError
from tests.components.train.conftest import SIZE, as_jpeg, drawn

TRIPLETS, FACES = 600, 60


def triplets(count: int = TRIPLETS, faces: int = FACES) -> np.ndarray:
    """Triplets of different faces, int32 [count, 3]."""
    chance = np.random.default_rng(5)
    return np.array([chance.choice(faces, 3, replace=False) for _ in range(count)], np.int32)


def grouped(used: np.ndarray, times: int, batch_size: int, faces: int, buffer: int = 400) -> list[SharedBatch]:
    order = np.concatenate([np.random.default_rng(n).permutation(len(used)) for n in range(times)])
    return list(shared_batches(used, order.tolist(), batch_size, faces, buffer))


@pytest.mark.parametrize(("batch_size", "faces"), [(10, 10), (10, 15), (10, 30), (1, 3), (4, 3)])
def test_a_batch_has_as_many_triplets_and_faces_as_asked_for_and_every_triplet_its_faces(
    batch_size: int, faces: int
) -> None:
    used = triplets()
    for batch in grouped(used, 1, batch_size, faces):
        assert batch.rows.shape == (batch_size,)
        assert batch.faces.shape == (faces,)
        assert np.array_equal(batch.faces[batch.places], used[batch.rows])


def test_each_triplet_comes_as_often_as_before_and_never_twice_in_a_batch() -> None:
    seen: Counter[int] = Counter()
    for batch in grouped(triplets(), 3, 10, 15):
        rows = batch.rows[: batch.distinct].tolist()
        assert len(set(rows)) == len(rows)
        seen.update(rows)
    assert seen == dict.fromkeys(range(TRIPLETS), 3)


def test_what_fills_a_batch_up_is_of_the_batch_itself() -> None:
    for batch in grouped(triplets(30, 300), 1, 10, 12):
        assert batch.distinct < 10
        assert set(batch.rows.tolist()) == set(batch.rows[: batch.distinct].tolist())


def test_with_three_faces_a_triplet_the_order_stays_as_it_is() -> None:
    # Of 60 triplets no two have a face in common.
    used = np.arange(180, dtype=np.int32).reshape(60, 3)
    rows = np.concatenate([batch.rows for batch in shared_batches(used, range(60), 10, 30)])
    assert rows.tolist() == list(range(60))


def test_half_of_the_faces_hold_the_triplets_where_they_are_used_often() -> None:
    batches = grouped(triplets(), 2, 10, 15)[:60]
    assert np.mean([batch.distinct for batch in batches]) > 9.9


def test_none_waits_for_longer_than_the_buffer_is() -> None:
    """The one that has waited longest is in the next batch: a face that nobody shares is not put off for ever."""
    alone = np.array([[FACES, FACES + 1, FACES + 2]], np.int32)
    used = np.concatenate([alone, triplets()])
    first = next(iter(shared_batches(used, range(len(used)), 10, 15)))
    assert 0 in first.rows


def test_no_more_triplets_are_looked_at_than_the_buffer_holds() -> None:
    taken = 0

    def counted() -> Any:
        nonlocal taken
        for row in range(TRIPLETS):
            taken += 1
            yield row

    made = shared_batches(triplets(), counted(), 10, 15, buffer=50)
    for number in range(1, 20):
        next(made)
        assert taken <= 50 + 10 * (number - 1)


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Forty triplets of twelve faces."""
    chance = np.random.default_rng(0)
    labels = np.stack([chance.integers(1, 4, 40), np.full(40, 2), *(np.arange(40) % n for n in (2, 3, 5))], axis=1)
    jpegs = [as_jpeg(drawn(number % 3, chance)) for number in range(12)]
    return Examples(jpegs, [str(n) for n in range(12)], triplets(40, 12), labels.astype(np.int32))


def made(examples: Examples, augmentation: str, first_step: int = 0, hosts: Hosts = ALONE) -> list[Any]:
    order = np.arange(40, dtype=np.int32).reshape(10, 4)
    data = batches_of_shared_faces(examples, Faces(examples.jpegs, SIZE), order, 6, augmentation, 3, first_step, hosts)
    return [tuple(part.numpy() for part in batch) for batch in data]


def test_faces_places_and_labels_belong_together(examples: Examples) -> None:
    stored = Faces(examples.jpegs, SIZE)[np.arange(12)].numpy()
    expected = {
        (*stored[faces].ravel()[::97].tolist(), *labels)
        for faces, labels in zip(examples.faces, examples.labels.tolist(), strict=True)
    }
    for faces, places, labels in made(examples, "none"):
        for face, label in zip(faces[places], labels.tolist(), strict=True):
            assert (*face.ravel()[::97].tolist(), *label) in expected


def test_later_batches_are_the_same_whether_or_not_the_earlier_ones_were_made(examples: Examples) -> None:
    whole, resumed = made(examples, "strong")[4:], made(examples, "strong", first_step=4)
    assert len(whole) == len(resumed) == 6
    for one, other in zip(whole, resumed, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_hosts_get_the_parts_of_one_batch_changed_as_in_the_whole(examples: Examples) -> None:
    whole = made(examples, "strong")[1]
    parts = zip(*(made(examples, "strong", hosts=Hosts(2, number))[1] for number in (0, 1)), strict=True)
    for all_of_it, halves in zip(whole, parts, strict=True):
        assert np.array_equal(all_of_it, np.concatenate(halves))


def test_a_step_on_shared_faces_is_one_on_all_the_faces_of_the_triplets() -> None:
    """Without batch normalisation, which sees a face once only here."""
    chance = np.random.default_rng(0)
    faces = chance.uniform(0, 1, (5, 2, 2, 3)).astype(np.float32)
    places, labels = triplets(4, 5), np.tile(np.array([[1, 2, 4, 1, 1]], np.int32), (4, 1))
    figures, weights = [], []
    for batch in ((faces, places, labels), (faces[places], labels)):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
        model = Triplets(network)
        model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
        p = Parameters(root="", batch_size=4)
        figures.append(np.asarray(stepper(model, p, Devices("cpu", ("a",), 1, tf.distribute.get_strategy()))(*batch)))
        weights.append(network.get_weights())
    assert np.allclose(figures[0], figures[1], atol=1e-6)
    for ours, theirs in zip(*weights, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"faces_per_batch": 40}, "--faces-per-batch 40: that is of --batches shared"),
        ({"batches": "shared", "faces_per_batch": 2}, "30 triplets have between 3 and 90 faces"),
        ({"batches": "shared", "faces_per_batch": 91}, "30 triplets have between 3 and 90 faces"),
    ],
)
def test_a_number_of_faces_that_makes_no_sense_is_refused(
    records_of_600: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run(Parameters(root=str(records_of_600), **options))


def test_faces_that_devices_cannot_share_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--faces-per-batch 45: 2 devices .* such as 46"):
        refuse_unshared(Parameters(root="", batches="shared"), Devices("cpu", ("a", "b"), 2, None))
