"""The record files of a group: which are missing, the faces they need, and one file after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from components.datagen.face_cache import Crop, FaceCache
from fec import identity, layout, tables
from fec.cores import available_cores
from fec.done import Done, finished, read_done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import Group
from fec.progress import track
from fec.records import TripletExample, frame
from fec.storage import Storage, open_storage

if TYPE_CHECKING:
    from components.datagen.step import Parameters


def write_records(parameters: Parameters) -> None:
    """Do the step; see ``components.datagen.step.run``."""
    if not 8 <= parameters.image_size <= 1024:
        raise ConfigurationError(f"image_size {parameters.image_size}: expected 8 to 1024 pixels")
    if not 1 <= parameters.jpeg_quality <= 100:
        raise ConfigurationError(f"jpeg_quality {parameters.jpeg_quality}: expected 1 to 100")
    storage = open_storage(parameters.root)
    split = parameters.split
    directory = layout.collect_dir(split)
    collected = read_done(storage, directory)
    if collected is None:
        raise RunFailed(f"{parameters.root} has no collected triplets of {split}: run the collect step first")
    count = collected.counts["record_shards"]
    fingerprints = {
        number: _fingerprint(parameters, collected, number) for number in Group.parse(parameters.group).of(count)
    }
    todo = [number for number, wanted in fingerprints.items() if not _is_there(storage, split, number, count, wanted)]
    if not todo:
        return
    triplets = tables.read_table(storage, f"{directory}/triplets.parquet", filters=[("record_shard", "in", set(todo))])
    work = f"{directory}/records-{identity.fingerprint({'faces': collected.digest, **_settings(parameters)})[:16]}"
    work = f"{work}-{parameters.group.replace('/', '-of-')}"
    folder = storage.workspace(work)
    with FaceCache(folder) as faces:
        crops = _crops(storage, split, triplets)
        faces.fill(
            storage, crops, parameters.image_size, parameters.jpeg_quality, parameters.workers or available_cores()
        )
        with track(f"write records of {split}", len(triplets), "triplets") as progress:
            for number in todo:
                rows = triplets.filter(pc.equal(triplets["record_shard"], number))
                digest = hashlib.sha256()
                target = folder / f"{number}.tfrecord"
                with target.open("wb") as file:
                    for example in _examples(rows, faces):
                        record = frame(example.encode())
                        file.write(record)
                        digest.update(record)
                        progress.advance()
                storage.write_file(layout.record_file(split, number, count), target)
                details = _settings(parameters) | {"sha256": digest.hexdigest()}
                done = Done("datagen", fingerprints[number], digest.hexdigest(), {"triplets": len(rows)}, details)
                write_done(storage, layout.record_done_dir(split, number, count), done)
    storage.remove_workspace(work)


def _settings(parameters: Parameters) -> dict[str, Any]:
    return {"image_size": parameters.image_size, "jpeg_quality": parameters.jpeg_quality}


def _fingerprint(parameters: Parameters, collected: Done, number: int) -> str:
    return identity.fingerprint(
        {"step": "datagen", "collect": collected.digest, "number": number} | _settings(parameters)
    )


def _is_there(storage: Storage, split: str, number: int, count: int, fingerprint: str) -> bool:
    done = finished(storage, layout.record_done_dir(split, number, count), fingerprint)
    return done is not None and storage.size(layout.record_file(split, number, count)) is not None


def _crops(storage: Storage, split: str, triplets: pa.Table) -> list[Crop]:
    """The crops the triplets need, in the order they lie in, so that they are read as they were written."""
    faces = tables.read_table(storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}")
    columns = (triplets[name] for name in ("face_a", "face_b", "face_c"))
    used = pa.chunked_array([chunk for column in columns for chunk in column.chunks], type=pa.string())
    needed = faces.filter(pc.is_in(faces["face_id"], value_set=pc.unique(used)))
    rows = zip(*(needed[name].to_pylist() for name in ("face_id", "shard", "crop_name", "crop_sha256")), strict=True)
    return [Crop(face_id, f"{layout.faces_dir(split, shard)}/{name}", sha256) for face_id, shard, name, sha256 in rows]


def _examples(triplets: pa.Table, faces: FaceCache) -> Iterator[TripletExample]:
    for batch in triplets.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            ids = (row["face_a"], row["face_b"], row["face_c"])
            images = (faces[ids[0]], faces[ids[1]], faces[ids[2]])
            yield TripletExample(images, ids, row["odd_one_out"], row["type"], row["votes"])
