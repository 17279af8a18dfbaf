"""From record files to batches: the same for the same seed and step, whether or not training was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from fec import records

# Serialised examples kept to shuffle from, for each triplet type: about 30 MB at 64 px.
SHUFFLE_BUFFER: Final = 2048
# Augmentation, as in the notes on what a CPU reaches: mirror, move, change of contrast.
MAX_SHIFT: Final = 1 / 16
CONTRAST: Final = 0.2


def batches(
    files: Sequence[Path], types: Sequence[int], image_size: int, batch_size: int, seed: int, first_step: int = 0
) -> Any:
    """An endless ``tf.data.Dataset`` of (faces float32 0..255 [batch, 3, size, size, 3], labels int32 [batch, 2]).

    Labels are the odd one out and the triplet's type, both 1..3. ``types`` are those that occur: a batch holds
    as many triplets of each as of the others (the paper balances them too). ``first_step`` batches are left out
    without decoding them.
    """
    names = [str(file) for file in files]
    streams = [_of_type(names, kind, seed) for kind in types]
    turns = tf.data.Dataset.range(len(streams)).repeat()
    mixed = tf.data.Dataset.choose_from_datasets(streams, turns) if len(streams) > 1 else streams[0]
    numbered = mixed.enumerate().skip(first_step * batch_size)

    def example(number: Any, serialised: Any) -> tuple[Any, Any]:
        faces, labels = decode(serialised, image_size)
        return augmented(faces, tf.stack([tf.constant(seed, tf.int64), number])), labels

    return (
        numbered.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(4)
    )


def decode(serialised: Any, image_size: int) -> tuple[Any, Any]:
    """One example as (faces float32 0..255 [3, size, size, 3] RGB, labels int32 [2]: odd one out, type)."""
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in records.IMAGES}
    spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in (records.TRIPLET_CODE, records.TYPE)}
    example = tf.io.parse_single_example(serialised, spec)
    # TensorFlow's default is a quicker inverse DCT that is a grey level off what every other decoder gives.
    faces = tf.stack(
        [tf.io.decode_jpeg(example[name], channels=3, dct_method="INTEGER_ACCURATE") for name in records.IMAGES]
    )
    faces = tf.ensure_shape(faces, [3, image_size, image_size, 3])
    labels = tf.stack([example[records.TRIPLET_CODE], example[records.TYPE]])
    return tf.cast(faces, tf.float32), tf.cast(labels, tf.int32)


def augmented(faces: Any, seed: Any) -> Any:
    """Each face mirrored or not, moved a little, with more or less contrast, by the two-element ``seed``."""
    size = faces.shape[1]
    shift = max(1, round(size * MAX_SHIFT))
    seeds = tf.random.split(seed, 3 * 3)
    changed = []
    for face in range(3):
        image = faces[face]
        image = tf.image.stateless_random_flip_left_right(image, seeds[3 * face])
        image = tf.pad(image, [[shift, shift], [shift, shift], [0, 0]], mode="SYMMETRIC")
        image = tf.image.stateless_random_crop(image, [size, size, 3], seeds[3 * face + 1])
        image = tf.image.stateless_random_contrast(image, 1 - CONTRAST, 1 + CONTRAST, seeds[3 * face + 2])
        changed.append(image)
    return tf.clip_by_value(tf.stack(changed), 0.0, 255.0)


def _of_type(files: Sequence[str], kind: int, seed: int) -> Any:
    """All serialised examples of one triplet type, shuffled, over and over."""

    def is_kind(serialised: Any) -> Any:
        spec = {records.TYPE: tf.io.FixedLenFeature([], tf.int64)}
        return tf.equal(tf.io.parse_single_example(serialised, spec)[records.TYPE], kind)

    order = tf.data.Dataset.from_tensor_slices(list(files)).shuffle(len(files), seed=seed)
    read = order.interleave(tf.data.TFRecordDataset, cycle_length=4)
    return read.filter(is_kind).shuffle(SHUFFLE_BUFFER, seed=seed).repeat()
