"""From examples to batches: the same for the same seed and step, whether or not training was interrupted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from mmap import mmap
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.train.augmentation import augmented, strength_at
from components.train.devices import ALONE, Devices, Hosts
from components.train.examples import Examples
from components.train.face_file import Jpegs
from components.train.parameters import JAX
from components.train.sharing import shared_batches
from fec.errors import RunFailed

# Faces are decoded once and for all if their pixels take no more than this, else read and decoded when they are used.
DECODED_BYTES: Final = 1 << 30
_AT_A_TIME: Final = 1024


class Faces:
    """Every face of ``jpegs``, to be looked up by number, as uint8 RGB [size, size, 3].

    Decoded they are held if they take no more than ``decoded_bytes`` (None: DECODED_BYTES). Raises RunFailed for a face
    that is no JPEG of that size, as far as they are decoded at once.
    """

    def __init__(self, jpegs: Jpegs, image_size: int, decoded_bytes: int | None = None) -> None:
        self._size, self._jpegs, self._pixels = image_size, jpegs, None
        if len(jpegs) * image_size * image_size * 3 <= (DECODED_BYTES if decoded_bytes is None else decoded_bytes):
            self._pixels = self._all_decoded()

    def __getitem__(self, numbers: Any) -> Any:
        """The faces of these ``numbers`` [n], float 0..255 [n, size, size, 3]."""
        if self._pixels is not None:
            return tf.cast(tf.gather(self._pixels, numbers), tf.float32)
        jpegs = tf.ensure_shape(tf.numpy_function(self._read, [numbers], tf.string), [None])
        spec = tf.TensorSpec([self._size, self._size, 3], tf.uint8)
        decoded = tf.map_fn(self._decoded, jpegs, fn_output_signature=spec)
        return tf.ensure_shape(tf.cast(decoded, tf.float32), [*numbers.shape, self._size, self._size, 3])

    def _read(self, numbers: NDArray[Any]) -> NDArray[Any]:
        return np.array([self._jpegs[number] for number in numbers.tolist()], object)

    def _decoded(self, jpeg: Any) -> Any:
        # TensorFlow's default is a quicker inverse DCT that is a grey level off what every other decoder gives.
        pixels = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(pixels, [self._size, self._size, 3])

    def _all_decoded(self) -> Any:
        """The pixels of all faces, uint8 [n, size, size, 3]."""
        shape = (len(self._jpegs), self._size, self._size, 3)
        # Whole pages of their own: TensorFlow takes them as they are, where of other arrays it makes a copy or two.
        pixels = np.frombuffer(mmap(-1, math.prod(shape)), np.uint8).reshape(shape)
        number = 0
        try:
            for part in self._in_parts().map(self._decoded, num_parallel_calls=tf.data.AUTOTUNE).batch(_AT_A_TIME):
                pixels[number : number + len(part)] = part.numpy()
                number += len(part)
        except (tf.errors.InvalidArgumentError, ValueError):
            raise RunFailed(
                f"the records of train hold a face that is no JPEG of {self._size} pixels; run the datagen step again"
            ) from None
        return tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())

    def _in_parts(self) -> Any:
        """A data set of all JPEGs, in order."""

        def parts() -> Iterator[NDArray[Any]]:
            for start in range(0, len(self._jpegs), _AT_A_TIME):
                yield self._read(np.arange(start, min(start + _AT_A_TIME, len(self._jpegs))))

        return tf.data.Dataset.from_generator(parts, output_signature=tf.TensorSpec([None], tf.string)).unbatch()


def batches(
    examples: Examples,
    faces: Faces,
    order: NDArray[np.int32],
    augmentation: str,
    seed: int,
    first_step: int = 0,
    hosts: Hosts = ALONE,
    *,
    rise: int = 0,
) -> Any:
    """A ``tf.data.Dataset`` of (faces float32 0..255 [batch, 3, size, size, 3], labels int32 [batch, 5]).

    Batch i holds the rows ``order[i]`` of ``examples``; labels are as there. Augmentation rises from light in ``rise``
    steps. The first ``first_step`` batches are left out, without making them. Of several hosts each gets its part of
    every batch.
    """
    share = order.shape[1] // hosts.count
    first = hosts.number * share
    rows = tf.constant(order[:, first : first + share])
    places, labels = tf.constant(examples.faces), tf.constant(examples.labels)

    def batch(step: Any) -> tuple[Any, Any]:
        row = tf.gather(rows, step)
        pixels = faces[tf.reshape(tf.gather(places, row), [-1])]
        strength = strength_at(step, augmentation, rise)
        if strength is not None:
            of_step = tf.stack([tf.constant(seed, tf.int64), step])
            pixels = augmented(pixels, strength, of_step, 3 * first, 3 * order.shape[1])
        size = pixels.shape[1]
        return tf.reshape(pixels, [share, 3, size, size, 3]), tf.gather(labels, row)

    steps = tf.data.Dataset.range(first_step, len(order))
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def batches_of_shared_faces(
    examples: Examples,
    faces: Faces,
    order: NDArray[np.int32],
    faces_per_batch: int,
    augmentation: str,
    seed: int,
    first_step: int = 0,
    hosts: Hosts = ALONE,
    *,
    rise: int = 0,
) -> Any:
    """A ``tf.data.Dataset`` of (faces float32 0..255 [faces_per_batch, size, size, 3], places int32 [batch, 3] of the
    triplets' faces in all of these, labels int32 [batch, 5]).

    The rows ``order`` of ``examples`` are regrouped so that they share faces (``components.train.sharing``). All else
    is as in ``batches``; the first ``first_step`` are grouped again, but their faces are not read.
    """
    steps, batch_size = order.shape
    here = slice(*(number * faces_per_batch // hosts.count for number in (hosts.number, hosts.number + 1)))
    rows_here = slice(*(number * batch_size // hosts.count for number in (hosts.number, hosts.number + 1)))

    def numbers() -> Iterator[tuple[int, Any, Any, Any]]:
        grouped = shared_batches(examples.faces, map(int, order.flat), batch_size, faces_per_batch)
        for step, batch in enumerate(islice(grouped, first_step, steps), first_step):
            yield step, batch.faces[here], batch.places[rows_here], examples.labels[batch.rows[rows_here]]

    def pixels(step: Any, of_faces: Any, places: Any, labels: Any) -> tuple[Any, Any, Any]:
        changed = faces[of_faces]
        strength = strength_at(step, augmentation, rise)
        if strength is not None:
            of_step = tf.stack([tf.constant(seed, tf.int64), step])
            changed = augmented(changed, strength, of_step, here.start, faces_per_batch)
        return tf.ensure_shape(changed, [here.stop - here.start, *changed.shape[1:]]), places, labels

    share = rows_here.stop - rows_here.start
    specs = [
        tf.TensorSpec([], tf.int64),
        *(tf.TensorSpec(shape, tf.int32) for shape in ([here.stop - here.start], [share, 3], [share, 5])),
    ]
    made = tf.data.Dataset.from_generator(numbers, output_signature=tuple(specs))
    return made.map(pixels, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def over_devices(made: Callable[[Hosts], Any], on: Devices, *, shared: bool = False) -> Any:
    """The data set that ``made`` gives for a host, each of its batches spread over the devices there.

    ``shared``: its batches are of shared faces, whose parts TensorFlow does not know to spread evenly.
    """
    if on.backend == JAX or on.replicas == 1:
        return made(ALONE)
    if on.hosts.count == 1 and not shared:
        return on.spread.experimental_distribute_dataset(made(ALONE))

    def of_host(context: Any) -> Any:
        # A batch for each device, one after the other.
        here = context.num_replicas_in_sync // context.num_input_pipelines

        def parts(*batch: Any) -> tuple[Any, ...]:
            return tuple(tf.reshape(part, [here, part.shape[0] // here, *part.shape[1:]]) for part in batch)

        return made(on.hosts).map(parts).unbatch().prefetch(tf.data.AUTOTUNE)

    return on.spread.distribute_datasets_from_function(of_host)
