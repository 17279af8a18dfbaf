"""Write the record files of a group of record shards: examples with their faces inside, or faces and ids apart."""

from __future__ import annotations

from components.datagen.job import Job, unfinished
from components.datagen.parameters import Parameters
from fec import layout
from fec.done import read_done
from fec.errors import RunFailed
from fec.layout import Group
from fec.presets import preset_named
from fec.storage import open_storage

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Write what the group's record files still lack; returns the group.

    Raises ConfigurationError for values that make no sense, and RunFailed if the collect step is missing or
    a crop is not the one the manifest was written for.
    """
    preset = preset_named(parameters.preset)
    group = Group.parse(parameters.group)
    storage = open_storage(parameters.root)
    split = parameters.split
    collected = read_done(storage, layout.collect_dir(split))
    if collected is None:
        raise RunFailed(f"{storage.root} has no collected triplets of {split}: run the collect step first")
    triplets = collected.counts["records"]
    record_shards = preset.record_shards(split, triplets, collected.counts["record_shards"])
    job = Job(parameters, preset, preset.triplets(split, triplets), record_shards, collected.digest)
    if missing := unfinished(storage, job, job.files(group.of(record_shards))):
        from components.datagen.work import write_records

        write_records(storage, job, missing)
    return parameters.group
