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
from fec import layout, records
from fec.done import read_done
from fec.errors import ConfigurationError
from fec.layout import SPLITS
from fec.storage import open_storage
from pipelines.t2t.model import triplet_accuracy

IMAGE_SIZE = 64


class FecProblem(problem.Problem):  # type: ignore[misc]
    """Triplets of faces with the odd one out by the annotators' consensus; the name is that of the preset."""

    def generate_data(self, data_dir: str, tmp_dir: str, task_id: int = -1) -> None:
        """Write the records of both splits to ``data_dir``.

        ``tmp_dir`` is a storage root that has been through plan, download and faces. Raises ConfigurationError
        if it has not.
        """
        storage = open_storage(tmp_dir)
        for split in SPLITS:
            if read_done(storage, layout.plan_dir(split)) is None:
                raise ConfigurationError(
                    f"tmp_dir {tmp_dir!r}: expected the --root of a run (plan, download and faces of {split} done)"
                )
            collect.run(collect.Parameters(root=tmp_dir, split=split, preset=self.name))
            datagen.run(
                datagen.Parameters(root=tmp_dir, split=split, group="0/1", preset=self.name, image_size=IMAGE_SIZE)
            )
        if Path(data_dir).absolute() != Path(storage.root, "records").absolute():
            for entry in storage.list("records"):
                name = entry.path.removeprefix("records/")
                if name.startswith(f"{self.name}-"):
                    with storage.local_copy(entry.path) as file:
                        shutil.copyfile(file, Path(data_dir, name))

    def example_reading_spec(self) -> tuple[dict[str, Any], None]:
        """What an example holds of what a model needs."""
        fields = {name: tf.FixedLenFeature([], tf.string) for name in records.IMAGES}
        fields |= {name: tf.FixedLenFeature([], tf.int64) for name in (records.TRIPLET_CODE, records.TYPE)}
        return fields, None

    def preprocess_example(self, example: dict[str, Any], mode: str, hparams: Any) -> dict[str, Any]:
        """Decode the faces to uint8 [size, size, 3]; the labels keep a dimension, as Tensor2Tensor wants them."""
        for name in records.IMAGES:
            pixels = tf.image.decode_jpeg(example[name], channels=3)
            pixels.set_shape([IMAGE_SIZE, IMAGE_SIZE, 3])
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


@registry.register_problem
class FecBase(FecProblem):
    """All of it."""


@registry.register_problem
class FecTiny(FecProblem):
    """A sample, to try things on."""
