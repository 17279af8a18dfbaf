"""The record files a task has to write: first the faces they need are made small, then one file after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np

from components.datagen.collected import read_collected
from components.datagen.examples import Examples
from components.datagen.face_cache import FaceCache
from components.datagen.job import Job, RecordFile, unfinished
from fec import layout
from fec.cores import available_cores
from fec.done import Done, write_done
from fec.progress import task_name, track
from fec.record_families import Kind
from fec.records import frame
from fec.storage import Storage

# Written and hashed at a time.
_BLOCK: Final = 1 << 20
# A bucket answers in 50-100 ms, so threads wait most of the time.
_BUCKET_WORKERS: Final = 32


def write_records(storage: Storage, job: Job, files: Sequence[RecordFile]) -> None:
    """Write ``files`` and their markers; see ``components.datagen.step.run``."""
    p = job.parameters
    collected = read_collected(storage, p.split, job.triplets)
    # Faces of one size and quality are the same for every group, preset and layout: all of them share one cache.
    shared = f"{layout.collect_dir(p.split)}/faces-{p.image_size}-{p.jpeg_quality}"
    own = f"{layout.collect_dir(p.split)}/records-{job.preset.name}-{p.group.replace('/', '-of-')}"
    with FaceCache(storage.workspace(shared)) as cache:
        examples = Examples(collected, job.record_shards, cache)
        needed = np.zeros(len(collected.faces), np.bool_)
        for file in files:
            needed[examples.needed(file.kind, file.number)] = True
        workers = p.workers or (available_cores() if storage.local else _BUCKET_WORKERS)
        cache.fill(storage, p.split, collected.faces, needed, p.image_size, p.jpeg_quality, workers)
        with track(task_name("records", p.split, p.group), len(files), "files") as progress:
            for file in files:
                _write_file(storage, job, file, examples, storage.workspace(own))
                progress.advance()
    storage.remove_workspace(own)
    if not unfinished(storage, job, job.files(range(job.record_shards))):
        storage.remove_workspace(shared)


def _write_file(storage: Storage, job: Job, file: RecordFile, examples: Examples, folder: Path) -> None:
    payloads = examples.of(file.kind, file.number)
    target = folder / uuid4().hex
    count, size, sha256 = _write_frames(target, payloads)
    # A marker of other parameters must not outlive the file it was written for.
    storage.delete(f"{file.done_dir}/{layout.DONE}")
    storage.write_file(file.path, target)
    details = job.made_from | {"sha256": sha256}
    if file.kind is not Kind.TRIPLETS:
        details["faces_held"] = examples.faces_held
    counts = {file.family.counted: count, "bytes": size}
    write_done(storage, file.done_dir, Done("datagen", job.fingerprint(file), sha256, counts, details))


def _write_frames(target: Path, payloads: Iterable[bytes]) -> tuple[int, int, str]:
    """How many payloads were written, the file's size and its SHA-256 in hex."""
    digest = hashlib.sha256()
    count = size = 0
    block = bytearray()
    with target.open("wb") as file:

        def flush() -> None:
            digest.update(block)
            file.write(block)
            block.clear()

        for payload in payloads:
            block += frame(payload)
            count += 1
            if len(block) >= _BLOCK:
                size += len(block)
                flush()
        size += len(block)
        flush()
    return count, size, digest.hexdigest()
