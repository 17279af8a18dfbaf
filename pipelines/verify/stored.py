"""Markers, tables and files as they are stored: each whole, or a fault that says what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pyarrow as pa

from fec import layout, tables
from fec.cores import available_cores
from fec.done import Done, read_done
from fec.storage import Storage
from pipelines.verify.findings import Fault

# A bucket answers in 50-100 ms, so threads that read small files wait most of the time.
_BUCKET_READERS: Final = 32
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")
R = TypeVar("R")


def marker(
    storage: Storage, directory: str, step: str, counts: Sequence[str] = (), details: Sequence[str] = ()
) -> Done | Fault | None:
    """The marker of ``directory``; None if there is none.

    A fault if it is spoiled, or not one of ``step`` with at least these ``counts`` (whole numbers) and ``details``.
    """
    path = f"{directory}/{layout.DONE}"
    try:
        done = read_done(storage, directory)
    except OSError as error:
        return Fault(path, f"cannot be read ({_one_line(error)})")
    if done is None:
        found = storage.size(path) is not None
        return Fault(path, "truncated, spoiled or of another format: not a whole marker") if found else None
    if done.step != step:
        return Fault(path, f"the marker of another step: {done.step!r}, not {step}")
    whole = isinstance(done.counts, dict) and isinstance(done.details, dict)
    whole = whole and all(type(number) is int for number in done.counts.values())
    whole = whole and all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in (done.fingerprint, done.digest))
    if not whole or not done.counts.keys() >= set(counts) or not done.details.keys() >= set(details):
        return Fault(path, f"not a whole marker of the {step} step")
    return done


def table(storage: Storage, path: str, row: type[Any], columns: Sequence[str] | None = None) -> pa.Table | Fault:
    """The table at ``path``, all of which is read and must be of ``row`` (fec.rows); ``columns`` of it, or all.

    Of those that came later an older table lacks some; where they are asked for they are null.
    """
    schema, earlier = tables.schema(row), tables.earlier_schema(row)
    try:
        found = tables.read_table(storage, path)
        found.validate(full=True)
    except FileNotFoundError:
        return Fault(path, "missing")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        return Fault(path, f"cannot be read ({_one_line(error)})")
    known = pa.schema([field for field in schema if field.name in earlier.names or field.name in found.schema.names])
    if not found.schema.equals(known):
        return Fault(path, f"has other columns than {', '.join(schema.names)}")
    for name in columns or ():
        if name not in known.names:
            found = found.append_column(schema.field(name), pa.nulls(len(found), schema.field(name).type))
    return found.select(columns or known.names).combine_chunks()


def sha256(storage: Storage, path: str) -> str | Fault:
    """The SHA-256 of a file in hex."""
    try:
        with storage.local_copy(path) as copy, copy.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return Fault(path, "missing")
    except OSError as error:
        return Fault(path, f"cannot be read ({_one_line(error)})")


def readers(storage: Storage) -> int:
    """How many threads reading small files from this storage is worth."""
    return available_cores() if storage.local else _BUCKET_READERS


def side_by_side(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """``function`` of each item, in order, by that many threads."""
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)


def some(values: Iterable[Any], limit: int = 3) -> str:
    """The first of ``values``, for a message."""
    shown = [str(value) for value in values]
    return ", ".join(shown[:limit]) + (" ..." if len(shown) > limit else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
