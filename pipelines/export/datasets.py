"""The surviving faces and triplets as Parquet for Hugging Face's datasets, as WebDataset, for TFDS, as folders."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from fec.dataset import Dataset
from fec.rows import FACE_COLUMNS
from pipelines.export import tfds
from pipelines.export.crops import Survivors, survivors, with_crops

# Faces in a Parquet file, and in a group of its rows; triplets in a WebDataset shard: a few hundred megabytes at most.
FACES_A_FILE: Final = 10_000
FACES_A_GROUP: Final = 500
TRIPLETS_A_SHARD: Final = 2_000

TERMS: Final = (
    "The photographs belong to their authors, and the annotations are under the terms of Google's Facial Expression "
    "Comparison dataset: keep both to yourself."
)


def export_dataset(dataset: Dataset, name: str, folder: Path) -> dict[str, int]:
    """Write what survived of ``dataset`` as ``name`` (DATASET_FORMATS) into ``folder``; how many triplets, by split."""
    parts = survivors(dataset)
    DATASET_FORMATS[name](dataset, parts, folder)
    return {part.split: len(part.triplets) for part in parts}


def _parquet(dataset: Dataset, parts: Sequence[Survivors], folder: Path) -> None:
    """``faces/<split>-*.parquet`` with the crops as ``datasets.Image``, ``triplets/<split>.parquet``, and a card."""
    for name in ("faces", "triplets"):
        (folder / name).mkdir()
    for part in parts:
        pq.write_table(part.triplets, folder / "triplets" / f"{part.split}.parquet", compression="zstd")
        schema = _faces_schema(part.faces.schema)
        files = -(-len(part.faces) // FACES_A_FILE)
        faces = with_crops(dataset, part)
        for number in range(files):
            path = folder / "faces" / f"{part.split}-{number:05d}-of-{files:05d}.parquet"
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for rows in _portions(islice(faces, FACES_A_FILE), FACES_A_GROUP):
                    writer.write_table(pa.Table.from_pylist([_with_image(*row) for row in rows], schema=schema))
    (folder / "README.md").write_text(_card([part.split for part in parts]))


def _with_image(face: Mapping[str, Any], crop: bytes) -> dict[str, Any]:
    return {**face, "image": {"bytes": crop, "path": f"{face['face_id']}.jpg"}}


def _faces_schema(details: pa.Schema) -> pa.Schema:
    """The columns of the faces, with the note by which ``datasets`` knows which of them is a picture."""
    image = pa.field("image", pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    features = {field.name: {"dtype": _dtype(field.type), "_type": "Value"} for field in details}
    note = {"info": {"features": {**features, "image": {"_type": "Image"}}}}
    return pa.schema([*details, image], metadata={"huggingface": json.dumps(note)})


def _dtype(kind: pa.DataType) -> str:
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def _card(splits: Sequence[str]) -> str:
    """The README by which ``datasets.load_dataset`` knows the two tables and their splits."""
    lines = ["---", "configs:"]
    for name, pattern in (("faces", "{}-*.parquet"), ("triplets", "{}.parquet")):
        lines += [f"- config_name: {name}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {name}/{pattern.format(split)}"]
    return "\n".join([*lines, "---", "", TERMS, ""])


def _webdataset(dataset: Dataset, parts: Sequence[Survivors], folder: Path) -> None:
    """``<split>-NNNNNN.tar``: a sample a triplet, ``a.jpg``, ``b.jpg``, ``c.jpg`` and ``json``."""
    for part in parts:
        crops = {face["face_id"]: crop for face, crop in with_crops(dataset, part)} if _few(part) else None
        read = crops.__getitem__ if crops is not None else dataset.crop_bytes
        for number, rows in enumerate(_portions(_rows(part.triplets), TRIPLETS_A_SHARD)):
            with tarfile.open(folder / f"{part.split}-{number:06d}.tar", "w") as tar:
                for row in rows:
                    key = f"{row['line']:09d}"
                    for letter, column in zip("abc", FACE_COLUMNS, strict=True):
                        _add(tar, f"{key}.{letter}.jpg", read(row[column]))
                    _add(tar, f"{key}.json", json.dumps(row).encode())


def _few(part: Survivors) -> bool:
    """Whether the crops of a split are held in memory: each is in about ten triplets."""
    return len(part.faces) <= FACES_A_FILE


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _imagefolder(dataset: Dataset, parts: Sequence[Survivors], folder: Path) -> None:
    """``<split>/<face_id>.jpg`` with ``<split>/metadata.csv``, and ``triplets-<split>.csv`` beside the folders."""
    for part in parts:
        (folder / part.split).mkdir()
        with ExitStack() as stack:
            metadata = stack.enter_context((folder / part.split / "metadata.csv").open("w", newline=""))
            writer = csv.DictWriter(metadata, ["file_name", *part.faces.column_names])
            writer.writeheader()
            for face, crop in with_crops(dataset, part):
                (folder / part.split / f"{face['face_id']}.jpg").write_bytes(crop)
                writer.writerow({"file_name": f"{face['face_id']}.jpg", **face})
        with (folder / f"triplets-{part.split}.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, part.triplets.column_names)
            rows.writeheader()
            for row in _rows(part.triplets):
                rows.writerow({**row, "votes": " ".join(map(str, row["votes"]))})
    (folder / "TERMS.txt").write_text(TERMS + "\n")


def _tfds(dataset: Dataset, parts: Sequence[Survivors], folder: Path) -> None:
    tfds.write(dataset, parts, folder, TERMS)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=1024):
        yield from batch.to_pylist()


def _portions(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while some := list(islice(items, size)):
        yield some


DATASET_FORMATS: Final[Mapping[str, Callable[[Dataset, Sequence[Survivors], Path], None]]] = {
    "parquet": _parquet,
    "webdataset": _webdataset,
    "imagefolder": _imagefolder,
    "tfds": _tfds,
}
