"""A storage root as a dataset: its tables, its crops and its funnel, to be read in a notebook."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from fec import dataset_columns, layout, tables
from fec.done import read_done
from fec.errors import ConfigurationError, RunFailed
from fec.funnel import Funnel, read_funnel
from fec.rows import PlannedFace, PlannedImage, PlannedTriplet, SegmentRow, VerifiedFace
from fec.segments import stored_images
from fec.storage import Storage, open_storage

# A bucket answers in 50-100 ms.
_READERS: Final = 16
_AGAIN: Final = "delete the _DONE.json beside it and run the faces step again"
# Columns of ours by the names that the manifests have for them.
_STORED_AS: Final = {"bytes": "length", "crop": "crop_name"}


@dataclass(frozen=True)
class Table:
    """A table of the dataset: ``arrow`` (pyarrow.Table), and what each of its ``columns`` is."""

    name: str
    arrow: pa.Table
    columns: Mapping[str, str]

    def to_pandas(self) -> Any:
        """The same as a pandas.DataFrame; ConfigurationError where pandas is not installed."""
        try:
            return self.arrow.to_pandas()
        except ModuleNotFoundError:
            raise ConfigurationError("pandas is not installed: pip install pandas") from None

    def __len__(self) -> int:
        return len(self.arrow)

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        """A column, by its name."""
        return self.arrow[column]

    def __repr__(self) -> str:
        wide = max(map(len, self.columns))
        lines = [f"  {name:<{wide}}  {text}" for name, text in self.columns.items()]
        return "\n".join([f"{self.name}: {len(self):,} rows", *lines])


class Dataset:
    """What lies below a storage root, as ``open`` gives it. Tables are read when they are first asked for."""

    def __init__(self, storage: Storage, splits: tuple[str, ...]) -> None:
        self._storage, self.root, self.splits = storage, storage.root, splits

    @cached_property
    def images(self) -> Table:
        """A row for each unique URL of the list: what became of it."""
        return self._table("images", dataset_columns.IMAGES, _images)

    @cached_property
    def faces(self) -> Table:
        """A row for each unique face of the list, an image and a box: what became of it, and where its crop is."""
        return self._table("faces", dataset_columns.FACES, _faces)

    @cached_property
    def triplets(self) -> Table:
        """A row for each triplet of the list: its faces, its votes, and whether it survived."""
        return self._table("triplets", dataset_columns.TRIPLETS, _triplets)

    @property
    def funnel(self) -> dict[str, Funnel]:
        """What was lost where, by split, as far as the splits are collected."""
        return {
            split: read_funnel(self._storage, split)
            for split in self.splits
            if read_done(self._storage, layout.collect_dir(split)) is not None
        }

    def crop(self, face_id: str) -> Image.Image:
        """The crop of a face, RGB; ConfigurationError, with the reason, for a face that has none."""
        image = Image.open(io.BytesIO(self.crop_bytes(face_id)))
        image.load()
        return image

    def crop_bytes(self, face_id: str) -> bytes:
        """The same as the JPEG that is stored; RunFailed for a file that is missing or spoiled."""
        place = self._crop_places.get(face_id)
        if place is None:
            raise ConfigurationError(self._why_no_crop(face_id))
        path, sha256 = place
        try:
            data = self._storage.read(path)
        except FileNotFoundError:
            raise RunFailed(
                f"{path} is missing; delete the _DONE.json beside it and run the faces step again"
            ) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RunFailed(
                f"{path} is not what was stored; delete it and the _DONE.json beside it, and run faces again"
            )
        return data

    def __repr__(self) -> str:
        return f"Dataset({self.root!r}): {', '.join(self.splits)}; images, faces, triplets, funnel, crop(face_id)"

    @cached_property
    def _crop_places(self) -> dict[str, tuple[str, str]]:
        kept = self.faces.arrow.select(["face_id", "crop", "crop_sha256"]).filter(pc.is_valid(self.faces["crop"]))
        ids, paths, digests = (column.to_pylist() for column in kept.columns)
        return dict(zip(ids, zip(paths, digests, strict=True), strict=True))

    def _why_no_crop(self, face_id: str) -> str:
        rows = self.faces.arrow.filter(pc.equal(self.faces["face_id"], face_id)).to_pylist()
        if not rows:
            return f"face {face_id!r}: {self.root} has none of that id; ids are in dataset.faces"
        outcome, detail = rows[0]["outcome"], rows[0]["detail"]
        return f"face {face_id!r} has no crop: {outcome or 'not looked at yet'}" + f" ({detail})" * bool(detail)

    def _table(self, name: str, columns: Mapping[str, str], read: Callable[[Storage, str], pa.Table]) -> Table:
        parts = []
        for split in self.splits:
            if (found := read(self._storage, split)) is not None:
                parts.append(
                    found.add_column(0, "split", pa.array([split] * len(found), pa.string())).select([*columns])
                )
        return Table(name, pa.concat_tables(parts).combine_chunks(), columns)


def open(root: str) -> Dataset:
    """The dataset below ``root``: a folder, ``gs://BUCKET/PREFIX`` or ``s3://BUCKET/PREFIX``.

    A run may be at work on it: what is not done yet is null. Raises ConfigurationError where there is none.
    """
    storage = open_storage(root, read_only=True)
    splits = tuple(split for split in layout.SPLITS if read_done(storage, layout.plan_dir(split)) is not None)
    if not splits:
        raise ConfigurationError(f"{storage.root} holds no dataset: no run has planned anything there")
    return Dataset(storage, splits)


def _shards(storage: Storage, split: str) -> range:
    done = read_done(storage, layout.plan_dir(split))
    assert done is not None  # what open looked for
    return range(int(done.details["num_shards"]))


def _planned(storage: Storage, split: str, name: str, row: type[Any]) -> pa.Table:
    path = f"{layout.plan_dir(split)}/{name}.parquet"
    return tables.read_table(storage, path, columns=tables.schema(row).names)


def _images(storage: Storage, split: str) -> pa.Table:
    planned = _planned(storage, split, "images", PlannedImage)
    names = [_STORED_AS.get(name, name) for name in dataset_columns.IMAGES]
    kept = [name for name in names if name in tables.schema(SegmentRow).names and name not in ("image_id", "url")]
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda shard: stored_images(storage, split, shard), _shards(storage, split))
        tried = {image.image_id: image for images in found for image in images.values()}
    rows = [tried.get(image_id) for image_id in planned["image_id"].to_pylist()]
    types = tables.schema(SegmentRow)
    for name in kept:
        values = [None if row is None else getattr(row, name) for row in rows]
        planned = planned.append_column(_ours(name), pa.array(values, types.field(name).type))
    return planned


def _faces(storage: Storage, split: str) -> pa.Table:
    planned = _planned(storage, split, "faces", PlannedFace)
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda shard: _verified(storage, split, shard), _shards(storage, split))
        verified = pa.concat_tables([_face_schema().empty_table(), *(table for table in read if table is not None)])
    verified = verified.filter(pc.is_in(verified["face_id"], planned["face_id"].combine_chunks()))
    missing = planned.filter(pc.invert(pc.is_in(planned["face_id"], verified["face_id"].combine_chunks())))
    waiting = pa.table([_planned_column(missing, field) for field in verified.schema], schema=verified.schema)
    together = pa.concat_tables([verified, waiting]).sort_by([("shard", "ascending"), ("face_id", "ascending")])
    return together.rename_columns([_ours(name) for name in together.column_names])


def _planned_column(planned: pa.Table, field: pa.Field) -> Any:
    """A column of faces that nobody has looked at yet."""
    known = field.name in planned.column_names and field.name != "crop_name"
    return planned[field.name] if known else pa.nulls(len(planned), field.type)


def _face_schema() -> pa.Schema:
    """Of a faces manifest what the dataset shows, and the shard; any of it may be null."""
    wanted = [_STORED_AS.get(name, name) for name in dataset_columns.FACES]
    fields = [field.with_nullable(True) for field in tables.schema(VerifiedFace) if field.name in wanted]
    return pa.schema([*fields, pa.field("shard", pa.int32())])


def _verified(storage: Storage, split: str, shard: int) -> pa.Table | None:
    """The faces manifest of a shard, with the crops' paths below the root; None if there is none yet."""
    directory = layout.faces_dir(split, shard)
    try:
        table = tables.read_table(storage, f"{directory}/{layout.FACES_TABLE}")
    except FileNotFoundError:
        return None
    return pa.table(list(_columns(table, directory, shard)), schema=_face_schema())


def _columns(table: pa.Table, directory: str, shard: int) -> Iterator[Any]:
    for field in _face_schema():
        if field.name == "shard":
            yield pa.array([shard] * len(table), pa.int32())
        elif field.name == "crop_name":
            yield pc.binary_join_element_wise(directory, table["crop_name"], "/")
        elif field.name in table.column_names:
            yield table[field.name].cast(field.type)
        else:  # a column that came later than this table
            yield pa.nulls(len(table), field.type)


def _triplets(storage: Storage, split: str) -> pa.Table:
    planned = _planned(storage, split, "triplets", PlannedTriplet)
    if read_done(storage, layout.collect_dir(split)) is None:
        survived, record_shard = pa.nulls(len(planned), pa.bool_()), pa.nulls(len(planned), pa.int32())
    else:
        path = f"{layout.collect_dir(split)}/triplets.parquet"
        collected = tables.read_table(storage, path, columns=["line", "record_shard"])
        places = pc.index_in(planned["line"], value_set=collected["line"].combine_chunks())
        survived, record_shard = pc.is_valid(places), collected["record_shard"].take(places)
    return planned.append_column("survived", survived).append_column("record_shard", record_shard)


def _ours(name: str) -> str:
    """What the dataset calls a manifest's column."""
    return next((ours for ours, stored in _STORED_AS.items() if stored == name), name)
