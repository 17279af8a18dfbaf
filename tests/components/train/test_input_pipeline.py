"""Batches are balanced, the same again, and hold the faces and labels that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.train.input_pipeline import augmented, batches, decode
from fec import layout
from fec.records import TripletExample
from tests.components.train.conftest import SIZE, as_jpeg


def files(root: Path) -> list[Path]:
    return [root / layout.record_file(layout.TRAIN, number, 2) for number in range(2)]


def test_a_batch_holds_as_many_triplets_of_each_type(learnable: Path) -> None:
    _, labels = next(iter(batches(files(learnable), [1, 2, 3], SIZE, 30, seed=0)))
    assert np.bincount(labels.numpy()[:, 1], minlength=4).tolist() == [0, 10, 10, 10]


def test_types_that_do_not_occur_are_not_waited_for(learnable: Path) -> None:
    _, labels = next(iter(batches(files(learnable), [2], SIZE, 30, seed=0)))
    assert set(labels.numpy()[:, 1]) == {2}


def test_later_batches_are_the_same_whether_or_not_the_earlier_ones_were_made(learnable: Path) -> None:
    whole = iter(batches(files(learnable), [1, 2, 3], SIZE, 6, seed=3))
    third = [next(whole) for _ in range(3)][2]
    resumed = next(iter(batches(files(learnable), [1, 2, 3], SIZE, 6, seed=3, first_step=2)))
    assert all(np.array_equal(one.numpy(), other.numpy()) for one, other in zip(third, resumed, strict=True))


def test_another_seed_gives_other_batches(learnable: Path) -> None:
    one, other = (next(iter(batches(files(learnable), [1, 2, 3], SIZE, 6, seed=seed)))[0].numpy() for seed in (3, 4))
    assert not np.array_equal(one, other)


def test_augmentation_changes_each_face_by_itself_and_stays_in_range() -> None:
    face = np.linspace(0, 255, SIZE * SIZE * 3, dtype=np.float32).reshape(SIZE, SIZE, 3)
    changed = augmented(np.stack([face] * 3), np.array([1, 2])).numpy()
    assert changed.shape == (3, SIZE, SIZE, 3)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert not np.array_equal(changed[0], changed[1])


def test_pixels_channels_and_places_arrive_as_they_were() -> None:
    faces = []
    for place in range(3):
        face = np.zeros((SIZE, SIZE, 3), np.uint8)
        face[:, :, place] = 250
        face[: SIZE // 2, :, (place + 1) % 3] = 250
        faces.append(face)
    one, two, three = map(as_jpeg, faces)
    decoded, labels = decode(TripletExample((one, two, three), ("a", "b", "c"), 2, 3, [2]).encode(), SIZE)
    assert labels.numpy().tolist() == [2, 3]
    assert decoded.shape == (3, SIZE, SIZE, 3)
    assert np.abs(decoded.numpy() - np.array(faces)).mean() < 6
