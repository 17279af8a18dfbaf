"""What collect wrote, in arrays: 25 bytes a triplet, whatever its faces weigh."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.done import read_done
from fec.errors import RunFailed
from fec.rows import FACE_COLUMNS
from fec.storage import Storage

_ROWS: Final = 8_192


@dataclass(frozen=True)
class Collected:
    """The first ``n`` triplets in the order of the records, and all collected faces (CollectedFace).

    ``used``: int32 [n, 3], rows of ``faces``. ``odd_one_out``, ``type``: int8 [n], 1..3. The votes of triplet i
    are ``votes[vote_ends[i]:vote_ends[i + 1]]``, a byte each.
    """

    faces: pa.Table
    used: NDArray[np.int32]
    odd_one_out: NDArray[np.int8]
    type: NDArray[np.int8]
    votes: bytes
    vote_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.used)


def read_collected(storage: Storage, split: str, triplets: int) -> Collected:
    """The first ``triplets`` collected triplets of the split; RunFailed if a table is not the one collect wrote."""
    with (
        _table(storage, split, layout.FACES_TABLE, "faces_sha256") as path,
        _table(storage, split, "triplets.parquet", "triplets_sha256") as triplets_path,
    ):
        collected = _read(pa.Table.from_batches(_batches(path)), triplets_path, triplets)
    tables.release_memory()
    return collected


@contextmanager
def _table(storage: Storage, split: str, name: str, digest: str) -> Iterator[Path]:
    """A table of the collect step on this machine's disk, held against the SHA-256 in the marker."""
    directory = layout.collect_dir(split)
    done = read_done(storage, directory)
    with ExitStack() as stack:
        try:
            path = stack.enter_context(storage.local_copy(f"{directory}/{name}"))
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            found = ""
        if done is None or found != done.details.get(digest):
            raise RunFailed(
                f"{directory}/{name} is missing or not the table its marker was written for: delete {directory}/"
                f"{layout.DONE} and run the collect step again"
            )
        yield path


def _read(faces: pa.Table, path: Path, triplets: int) -> Collected:
    ids = faces["face_id"].combine_chunks()
    used, odd, kind, votes, lengths = [], [], [], [], []
    left = triplets
    for batch in _batches(path):
        part = batch.slice(0, left)
        used.append(np.stack([_rows(part[name], ids) for name in FACE_COLUMNS], axis=1))
        # Copies, which hold on to nothing of the batch.
        odd.append(part["odd_one_out"].to_numpy().copy())
        kind.append(part["type"].to_numpy().copy())
        votes.append(part["votes"].flatten().to_numpy().tobytes())
        lengths.append(pc.list_value_length(part["votes"]).to_numpy())
        left -= len(part)
        if not left:
            break
    ends = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    return Collected(faces, np.concatenate(used), np.concatenate(odd), np.concatenate(kind), b"".join(votes), ends)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a table, few at a time: what Arrow takes to read them is many times what they weigh."""
    with tables.parquet_file(path) as file:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            yield batch
            tables.release_memory()


def _rows(face_ids: Any, known: Any) -> NDArray[np.int32]:
    rows: NDArray[np.int32] = pc.index_in(face_ids, value_set=known).to_numpy(zero_copy_only=False)
    return rows
