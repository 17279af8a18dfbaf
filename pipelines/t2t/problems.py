"""The Problems ``fec_base`` (every surviving triplet) and ``fec_tiny`` (a sample to try things on).

``t2t-datagen`` makes their records through ``components.datagen``, as every other route does, so they are the
same bytes; reading them is Tensor2Tensor's own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import tensorflow.compat.v1 as tf
from tensor2tensor.data_generators import problem
from tensor2tensor.layers import modalities
from tensor2tensor.utils import registry

from components.collect import step as collect
from components.datagen import step as datagen
from components.datagen.square import jpeg_size
from fec import layout, records
from fec.done import read_done
from fec.errors import ConfigurationError
from fec.layout import SPLITS
from fec.record_files import record_files
from fec.storage import Storage, open_storage
from pipelines.t2t.environment import image_size, root_beside_tmp_dir
from pipelines.t2t.model import triplet_accuracy


class FecProblem(problem.Problem):  # type: ignore[misc]
    """Triplets of faces with the odd one out by the annotators' consensus; the name is that of the preset."""

    def generate_data(self, data_dir: str, tmp_dir: str, task_id: int = -1) -> None:
        """Write the records of both splits to ``data_dir``.

        ``tmp_dir`` is a storage root that has been through plan, download and faces; what was collected there
        stays as it is. With FEC_ROOT in the environment that is the root, and the records stay in it.
        Raises ConfigurationError for a root that is none.
        """
        root = root_beside_tmp_dir() or tmp_dir
        storage = open_storage(root)
        for split in SPLITS:
            if read_done(storage, layout.plan_dir(split)) is None:
                raise ConfigurationError(
                    f"tmp_dir {root!r}: expected the --root of a run (plan, download and faces of {split} done)"
                )
            if read_done(storage, layout.collect_dir(split)) is None:
                collect.run(collect.Parameters(root=root, split=split, preset=self.name))
            datagen.run(
                datagen.Parameters(root=root, split=split, group="0/1", preset=self.name, image_size=image_size())
            )
        if root_beside_tmp_dir() is None and Path(data_dir).resolve() != Path(storage.root, "records"):
            for split in SPLITS:
                _copy(storage, record_files(storage, split, self.name).paths, Path(data_dir))

    def dataset(self, mode: str, data_dir: str | None = None, **options: Any) -> Any:
        """Tensor2Tensor's own dataset, once it is known how large the faces in the files are."""
        split = options.get("dataset_split") or mode
        self._image_size = _size_of_faces(self.filepattern(data_dir, split))
        return super().dataset(mode, data_dir=data_dir, **options)

    def example_reading_spec(self) -> tuple[dict[str, Any], None]:
        """What an example holds of what a model needs."""
        fields = {name: tf.FixedLenFeature([], tf.string) for name in records.IMAGES}
        fields |= {name: tf.FixedLenFeature([], tf.int64) for name in (records.TRIPLET_CODE, records.TYPE)}
        return fields, None

    def preprocess_example(self, example: dict[str, Any], mode: str, hparams: Any) -> dict[str, Any]:
        """Decode the faces to uint8 [size, size, 3]; the labels keep a dimension, as Tensor2Tensor wants them."""
        for name in records.IMAGES:
            pixels = tf.image.decode_jpeg(example[name], channels=3)
            # Tensor2Tensor takes a batch size for one of tokens where it does not know all shapes.
            pixels.set_shape([self._image_size, self._image_size, 3])
            example[name] = pixels
        for name in (records.TRIPLET_CODE, records.TYPE):
            example[name] = tf.reshape(example[name], [1])
        example["targets"] = tf.reshape(example[records.TRIPLET_CODE], [1, 1, 1])
        return example

    def hparams(self, defaults: Any, model_hparams: Any) -> None:
        """Nothing but a target: faces are no sequence of symbols."""
        defaults.modality = {"targets": modalities.ModalityType.IDENTITY}
        defaults.vocab_size = {"targets": 3}

    def eval_metric_fns(self, model_hparams: Any) -> dict[str, Any]:
        """The strict triplet accuracy."""
        return {"triplet_accuracy": triplet_accuracy}


def _copy(storage: Storage, paths: tuple[str, ...], folder: Path) -> None:
    for path in paths:
        name = path.rpartition("/")[2]
        incomplete = folder / f".{name}"
        with storage.local_copy(path) as file:
            shutil.copyfile(file, incomplete)
        incomplete.replace(folder / name)


def _size_of_faces(pattern: str) -> int:
    """The side of the faces in the first example of the files that match, pixels."""
    for path in sorted(tf.gfile.Glob(pattern)):
        with tf.gfile.Open(path, "rb") as file:
            for payload in records.read_frames(file):
                face = records.decode_example(payload)[records.IMAGES[0]][0]
                assert isinstance(face, bytes)
                return jpeg_size(face)[0]
    raise ConfigurationError(f"{pattern}: no examples there; give the records of this problem as --data_dir")


@registry.register_problem
class FecBase(FecProblem):
    """All of it."""


@registry.register_problem
class FecTiny(FecProblem):
    """A sample, to try things on."""
