"""The surviving faces and triplets as TensorFlow Datasets reads them from a folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from fec.dataset import Dataset
from fec.errors import ConfigurationError
from pipelines.export.crops import Survivors, with_crops

VERSION: Final = "1.0.0"
# Examples in one TFRecord file: some hundred megabytes of crops.
EXAMPLES_A_FILE: Final = 10_000
# Written at a time.
_PORTION: Final = 100


def write(dataset: Dataset, parts: Sequence[Survivors], folder: Path, terms: str) -> None:
    """``faces/`` and ``triplets/``, each for ``tfds.builder_from_directory``; a number that is not known is NaN.

    Raises ConfigurationError without tensorflow-datasets.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise ConfigurationError("tensorflow-datasets is not installed: pip install 'fec[export]'")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    faces = {part.split: _faces(dataset, part) for part in parts}
    triplets = {part.split: _triplets(part) for part in parts}
    _write("faces", parts[0].faces.schema, faces, folder, terms, image=True)
    _write("triplets", parts[0].triplets.schema, triplets, folder, terms)


def _faces(dataset: Dataset, part: Survivors) -> Iterator[dict[str, Any]]:
    for face, crop in with_crops(dataset, part):
        yield {**_known(face), "image": crop}


def _triplets(part: Survivors) -> Iterator[dict[str, Any]]:
    for batch in part.triplets.to_batches(max_chunksize=_PORTION):
        yield from map(_known, batch.to_pylist())


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in row.items()}


def _write(
    name: str,
    schema: pa.Schema,
    splits: Mapping[str, Iterator[dict[str, Any]]],
    folder: Path,
    terms: str,
    image: bool = False,
) -> None:
    """The table ``name`` with columns ``schema``, and the crops as ``image``, in the order of ``splits``' rows."""
    import tensorflow_datasets as tfds

    (folder / name).mkdir()
    features = {field.name: _feature(field.type) for field in schema}
    if image:
        features["image"] = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    identity = tfds.core.dataset_info.DatasetIdentity(f"fec_{name}", VERSION, str(folder / name), "")
    info = tfds.core.DatasetInfo(
        builder=identity, features=tfds.features.FeaturesDict(features), description=terms, disable_shuffling=True
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=EXAMPLES_A_FILE)
    writer.initialize_splits(list(splits))
    for split, rows in splits.items():
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == _PORTION:
                writer.add_examples({split: waiting})
                waiting = []
        writer.add_examples({split: waiting})
    writer.close_all()


def _feature(kind: pa.DataType) -> Any:
    import numpy as np
    import tensorflow_datasets as tfds

    if pa.types.is_list(kind):
        return tfds.features.Sequence(_feature(kind.value_type))
    if pa.types.is_string(kind):
        return tfds.features.Text()
    return tfds.features.Scalar(np.dtype(kind.to_pandas_dtype()))
