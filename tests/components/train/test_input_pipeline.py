"""Batches hold the faces and labels that were written, changed as asked for, and are the same again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.train.augmentation import STRENGTHS, Strength, augmented, strength_at
from components.train.choice import choose
from components.train.devices import devices
from components.train.examples import Examples, read_examples
from components.train.held_out import Parts
from components.train.input_pipeline import Faces, batches
from components.train.parameters import Parameters
from components.train.work import _fed
from fec import layout
from fec.record_files import record_files
from fec.storage import open_storage
from tests.components.train.conftest import SIZE, as_jpeg

ORDER = np.arange(24, dtype=np.int32).reshape(4, 6)


def read(root: Path) -> Examples:
    storage = open_storage(str(root))
    return read_examples(storage, record_files(storage, layout.TRAIN))


def made(
    root: Path, augmentation: str, seed: int = 3, first_step: int = 0, decoded_bytes: int | None = None
) -> list[tuple[Any, Any]]:
    examples = read(root)
    faces = Faces(examples.jpegs, SIZE, decoded_bytes)
    data = batches(examples, faces, ORDER, augmentation, seed, first_step)
    return [(faces.numpy(), labels.numpy()) for faces, labels in data]


def test_examples_are_read_with_each_face_once_and_its_votes_counted(records_of_600: Path) -> None:
    examples = read(records_of_600)
    assert len(examples) == 600
    assert len(examples.jpegs) == len(set(examples.face_ids)) == 1800
    odd = examples.labels[:, 0]
    assert (examples.labels[np.arange(600), 1 + odd] == 6).all()
    assert (examples.labels[:, 2:].sum(axis=1) == 6).all()


def test_later_batches_are_the_same_whether_or_not_the_earlier_ones_were_made(records_of_600: Path) -> None:
    whole, resumed = made(records_of_600, "strong")[2:], made(records_of_600, "strong", first_step=2)
    for one, other in zip(whole, resumed, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_changes_faces_otherwise(records_of_600: Path) -> None:
    one, other = (made(records_of_600, "light", seed)[0][0] for seed in (3, 4))
    assert not np.array_equal(one, other)


def test_without_augmentation_a_batch_is_what_was_written(records_of_600: Path) -> None:
    examples = read(records_of_600)
    faces, labels = made(records_of_600, "none")[1]
    stored = Faces(examples.jpegs, SIZE)[examples.faces[6:12].ravel()].numpy()
    assert np.array_equal(faces.reshape(stored.shape), stored)
    assert np.array_equal(labels, examples.labels[6:12])


def test_faces_too_many_to_decode_at_once_are_the_same(records_of_600: Path) -> None:
    jpegs = list(read(records_of_600).jpegs)[:9]
    at_once, when_used = Faces(jpegs, SIZE), Faces(jpegs, SIZE, decoded_bytes=0)
    assert np.array_equal(at_once[np.arange(9)].numpy(), when_used[np.arange(9)].numpy())


def test_batches_of_faces_that_are_read_when_they_are_used_are_the_same(records_of_600: Path) -> None:
    at_once, when_used = (made(records_of_600, "strong", decoded_bytes=size) for size in (None, 0))
    for one, other in zip(at_once, when_used, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("augmentation", ["light", "strong"])
def test_augmentation_changes_each_face_by_itself_and_stays_in_range(augmentation: str) -> None:
    strength = STRENGTHS[augmentation]
    assert strength is not None
    face = np.linspace(0, 255, SIZE * SIZE * 3, dtype=np.float32).reshape(SIZE, SIZE, 3)
    changed = augmented(np.stack([face] * 4), strength, np.array([1, 2])).numpy()
    assert changed.shape == (4, SIZE, SIZE, 3)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert not np.array_equal(changed[0], changed[1])


def test_augmentation_rises_from_light_to_what_was_asked() -> None:
    light, strong = STRENGTHS["light"], STRENGTHS["strong"]
    assert light is not None
    assert strong is not None
    for step, share in ((0, 0.0), (30, 0.3), (100, 1.0), (5_000, 1.0)):
        at = strength_at(tf.constant(step, tf.int64), "strong", rise=100)
        assert at is not None
        for name, value in asdict(light).items():
            assert float(getattr(at, name)) == pytest.approx(value + share * (getattr(strong, name) - value))
    assert strength_at(tf.constant(3, tf.int64), "strong") is strong
    assert strength_at(tf.constant(3, tf.int64), "none", rise=100) is None


def test_rising_augmentation_changes_early_batches_less_whether_or_not_training_was_interrupted(
    records_of_600: Path,
) -> None:
    examples = read(records_of_600)
    faces = Faces(examples.jpegs, SIZE)
    rows = np.tile(np.arange(6, dtype=np.int32), (5, 1))
    plain = faces[examples.faces[:6].ravel()].numpy().reshape(6, 3, SIZE, SIZE, 3)
    rising = [pixels.numpy() for pixels, _ in batches(examples, faces, rows, "strong", 1, rise=4)]
    at_once = [pixels.numpy() for pixels, _ in batches(examples, faces, rows, "strong", 1)]
    light = [pixels.numpy() for pixels, _ in batches(examples, faces, rows, "light", 1)]
    again = [pixels.numpy() for pixels, _ in batches(examples, faces, rows, "strong", 1, first_step=2, rise=4)]
    assert np.allclose(rising[0], light[0], atol=0.01)
    assert np.array_equal(rising[4], at_once[4])
    assert np.array_equal(np.stack(rising[2:]), np.stack(again))
    assert abs(rising[1] - plain).mean() < abs(at_once[1] - plain).mean()


@pytest.mark.parametrize("batches_of", ["plain", "shared"])
def test_a_training_begins_with_light_augmentation_where_it_is_to_be_strong(
    records_of_600: Path, batches_of: str
) -> None:
    examples = read(records_of_600)
    faces, parts = Faces(examples.jpegs, SIZE), Parts(np.arange(600), np.arange(0))

    def first(augmentation: str, rise: int) -> Any:
        p = Parameters(
            root="", steps=3, batch_size=4, batches=batches_of, augmentation=augmentation, augmentation_rise=rise
        )
        chosen = choose(p, 600, 1_800, SIZE, accelerated=False)
        return next(iter(_fed(p, examples, faces, parts, chosen, 0, devices(p))))[0].numpy()

    assert np.allclose(first("strong", rise=2), first("light", rise=0), atol=0.01)
    assert not np.allclose(first("strong", rise=0), first("light", rise=0), atol=0.01)


def test_a_face_that_is_only_mirrored_or_moved_keeps_its_pixels() -> None:
    face = np.random.default_rng(0).uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)
    for seed in range(6):
        (mirrored,) = augmented(face[None], Strength(shift=0.0, contrast=0.0), np.array([seed, 0])).numpy()
        assert np.allclose(mirrored, face, atol=0.01) or np.allclose(mirrored, face[:, ::-1], atol=0.01)
    (moved,) = augmented(face[None], Strength(shift=0.2, contrast=0.0), np.array([5, 0])).numpy()
    middle = moved[8:-8, 8:-8]
    places = [
        (y, x)
        for source in (face, face[:, ::-1])
        for y in range(17)
        for x in range(17)
        if np.allclose(source[y : y + SIZE - 16, x : x + SIZE - 16], middle, atol=0.01)
    ]
    assert len(places) == 1


def test_pixels_channels_and_places_arrive_as_they_were() -> None:
    faces = []
    for place in range(3):
        face = np.zeros((SIZE, SIZE, 3), np.uint8)
        face[:, :, place] = 250
        face[: SIZE // 2, :, (place + 1) % 3] = 250
        faces.append(face)
    decoded = Faces([as_jpeg(face) for face in faces], SIZE)[np.arange(3)].numpy()
    assert np.abs(decoded - np.array(faces)).mean() < 6
