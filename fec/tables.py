"""The manifests: how the Parquet tables of ``fec.rows`` are read and written.

Tables are written with fixed options, so the same rows give the same bytes, and with a checksum on every page, so a
spoiled one is not taken for what was written.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from fec.row_types import Column, columns, from_values, names, values_of
from fec.storage import Storage

# Rows written, or read, at a time.
ROW_GROUP: Final = 65_536
_DIGESTED: Final = 4096
# Rows that are Python objects of Arrow's at a time.
_ROWS: Final = 1024

_ARROW: Final[Mapping[Any, pa.DataType]] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bytes: pa.binary(),
    datetime: pa.timestamp("ms", tz="UTC"),
    Mapping: pa.map_(pa.string(), pa.string()),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "float32": pa.float32(),
}

R = TypeVar("R")


def schema(row: Any) -> pa.Schema:
    """The columns of the table whose rows are dataclasses ``row`` (``fec.rows``)."""
    return _schema(row)


@cache
def _schema(row: Any) -> pa.Schema:
    return pa.schema([pa.field(column.name, _arrow(column), nullable=column.nullable) for column in columns(row)])


def earlier_schema(row: Any) -> pa.Schema:
    """The same without the columns that came later, which tables of earlier versions lack."""
    later = {column.name for column in columns(row) if column.later}
    return pa.schema([field for field in schema(row) if field.name not in later])


def _arrow(column: Column) -> pa.DataType:
    text = isinstance(column.type, type) and issubclass(column.type, str)
    kept = _ARROW[column.kept_as or (str if text else column.type)]
    return pa.list_(kept) if column.several else kept


def from_rows(rows: Iterable[R], row: type[R]) -> pa.Table:
    """The table of ``rows``, all of them dataclasses ``row``."""
    listed = list(rows)
    values = [pa.array([getattr(one, field.name) for one in listed], field.type) for field in schema(row)]
    return pa.Table.from_arrays(values, schema=schema(row))


def from_json(rows: Sequence[Mapping[str, Any]], row: type[R]) -> pa.Table:
    """The table of rows that ``fec.row_types.to_json`` gave of dataclasses ``row``, without making them again."""
    values = [pa.array(values_of(rows, column), _arrow(column)) for column in columns(row)]
    return pa.Table.from_arrays(values, schema=schema(row))


def to_rows(table: pa.Table | pa.RecordBatch, row: type[R]) -> Iterator[R]:
    """The rows of ``table``, as what they were written from; a field that came later has its default in older ones."""
    wanted = [column.name for column in columns(row) if not column.later or column.name in table.schema.names]
    for batch in table.select(wanted).to_batches(max_chunksize=_ROWS) if isinstance(table, pa.Table) else (table,):
        for values in batch.select(wanted).to_pylist():
            yield from_values(row, values)


def read_rows(
    storage: Storage, path: str, row: type[R], filters: list[tuple[str, str, Any]] | None = None
) -> Iterator[R]:
    """The rows of a table, those that pass ``filters``; raises as ``read_table`` does."""
    wanted = None if any(column.later for column in columns(row)) else names(row)
    return to_rows(read_table(storage, path, columns=wanted, filters=filters), row)


def verified_digest(faces: Iterable[tuple[str, str, str | None, str | None]]) -> str:
    """64 hex digits of what later steps read of a faces manifest: a change of these rows changes them.

    ``faces`` are (face_id, outcome, crop_name, crop_sha256) in the order of the table; the latter two are None
    unless the outcome is ok.
    """
    # What identity.fingerprint gives of {"faces": [[...], ...]}, without all of the text at once.
    rows = iter(faces)
    digest = hashlib.sha256(b'{"faces":[')
    separator = b""
    while some := [list(face) for face in islice(rows, _DIGESTED)]:
        digest.update(separator + json.dumps(some, separators=(",", ":")).encode()[1:-1])
        separator = b","
    digest.update(b"]}")
    return digest.hexdigest()


def to_bytes(table: pa.Table, *, row_group_size: int = ROW_GROUP) -> bytes:
    """``table`` as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=row_group_size, write_page_checksum=True)
    return buffer.getvalue()


def write_table(storage: Storage, path: str, table: pa.Table, *, row_group_size: int = ROW_GROUP) -> str:
    """Write ``table`` as Parquet in one go; the same table gives the same bytes. Returns their SHA-256 in hex."""
    data = to_bytes(table, row_group_size=row_group_size)
    storage.write(path, data)
    return hashlib.sha256(data).hexdigest()


def write_row_groups(storage: Storage, path: str, row: type[Any], groups: Iterable[pa.Table]) -> str:
    """Write ``groups``, of ROW_GROUP rows each but the last, as the row groups of one table, holding one at a time.

    The bytes are those ``write_table`` gives for the whole. Returns their SHA-256 in hex.
    """
    workspace = f"{path}.rows"
    target = storage.workspace(workspace) / uuid4().hex
    with pq.ParquetWriter(target, schema(row), compression="zstd", write_page_checksum=True) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=ROW_GROUP)
            release_memory()
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    storage.write_file(path, target)
    storage.remove_workspace(workspace)
    return digest


def read_batches(
    storage: Storage, path: str, columns: Sequence[str], rows: int = ROW_GROUP
) -> Iterator[pa.RecordBatch]:
    """These columns of a table, so many rows or fewer at a time; never more than that is held.

    Raises FileNotFoundError if there is no such table, other OSErrors and ArrowInvalid if it cannot be read.
    """
    with storage.local_copy(path) as copy, parquet_file(copy) as file:
        if missing := set(columns) - set(file.schema_arrow.names):
            raise pa.ArrowInvalid(f"{path} has no columns {sorted(missing)}")
        for batch in file.iter_batches(rows, columns=list(columns), use_threads=False):
            yield batch
            release_memory()


def parquet_file(source: Any) -> pq.ParquetFile:
    """A table to be read bit by bit, whose pages are held against their checksums."""
    return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True)


def release_memory() -> None:
    """Give back what Arrow's allocator holds of tables that are gone: after large ones that is most of a process."""
    pa.default_memory_pool().release_unused()


def read_table(
    storage: Storage,
    path: str,
    *,
    columns: Sequence[str] | None = None,
    filters: list[tuple[str, str, Any]] | None = None,
) -> pa.Table:
    """Read a table, only ``columns`` of it and only the rows that pass ``filters`` (pyarrow's form).

    Raises FileNotFoundError, or pyarrow's errors and OSError where the file is spoiled.
    """
    source = _source(storage.read(path))
    wanted = None if columns is None else list(columns)
    if filters is None:
        return parquet_file(source).read(columns=wanted)
    return pq.read_table(source, columns=wanted, filters=filters, page_checksum_verification=True)


def columns_in(data: bytes, wanted: pa.Schema) -> pa.Table:
    """These columns of the table that a file holds; one that came later is null where the file lacks it.

    Raises KeyError for another that it lacks, and pyarrow's errors and OSError for what is no table.
    """
    file = parquet_file(_source(data))
    there = set(file.schema_arrow.names)
    table = file.read(columns=[name for name in wanted.names if name in there])
    for field in wanted:
        if field.name not in there:
            if not field.nullable:
                raise KeyError(field.name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(wanted.names).cast(wanted)


def _source(data: bytes) -> pa.BufferReader:
    """What is read from memory of Arrow's own: one of its threads that lets go of a Python object while the interpreter
    ends aborts the process, after all work is done."""
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())
