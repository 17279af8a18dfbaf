"""Write the record files of a group of record shards: examples with their faces inside, or faces and ids apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.datagen.parameters import BOTH, FACES, TRIPLETS, Parameters
from fec import identity, layout
from fec.done import Done, read_done, read_markers
from fec.errors import RunFailed
from fec.layout import Group
from fec.presets import Preset, preset_named
from fec.storage import Storage, open_storage

__all__ = ["Job", "Parameters", "RecordFile", "run", "unfinished"]


@dataclass(frozen=True)
class RecordFile:
    """The ``number``-th file of ``kind`` (a method of Examples); its name begins with ``problem``."""

    kind: str
    problem: str
    number: int


@dataclass(frozen=True)
class Job:
    """What is to be made of a split, and what every file's name and marker say of it.

    ``triplets`` and ``record_shards`` are those of the preset, ``collected`` is the digest of what collect put out.
    """

    parameters: Parameters
    preset: Preset
    triplets: int
    record_shards: int
    collected: str

    def files(self, record_shards: Iterable[int]) -> list[RecordFile]:
        """The files that these record shards have in the layout."""
        name = self.preset.name
        kinds = []
        if self.parameters.layout in (TRIPLETS, BOTH):
            kinds.append(("triplets", name))
        if self.parameters.layout in (FACES, BOTH):
            kinds += [("faces", layout.faces_problem(name)), ("ids", layout.triplets_problem(name))]
        return [RecordFile(kind, problem, number) for number in record_shards for kind, problem in kinds]

    def fingerprint(self, file: RecordFile) -> str:
        return identity.fingerprint(
            {"file": [file.kind, file.number], "collect": self.collected, **self.parameters.settings}
        )

    @property
    def details(self) -> dict[str, str | int]:
        """What all files of the job have in common; goes into their markers."""
        p = self.parameters
        return {
            "collect": self.collected,
            "preset": self.preset.name,
            "image_size": p.image_size,
            "jpeg_quality": p.jpeg_quality,
        }

    def path(self, file: RecordFile) -> str:
        return layout.record_file(self.parameters.split, file.number, self.record_shards, file.problem)

    def done_dir(self, file: RecordFile) -> str:
        return layout.record_done_dir(self.parameters.split, file.number, self.record_shards, file.problem)


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


def unfinished(storage: Storage, job: Job, files: Sequence[RecordFile]) -> list[RecordFile]:
    """Those of ``files`` that are not there as the job wants them."""
    markers = read_markers(storage, [job.done_dir(file) for file in files])
    sizes = {entry.path: entry.size for entry in storage.list("records")} if any(markers) else {}

    def there(file: RecordFile, done: Done | None) -> bool:
        return (
            done is not None
            and done.fingerprint == job.fingerprint(file)
            and sizes.get(job.path(file)) == done.counts["bytes"]
        )

    return [file for file, done in zip(files, markers, strict=True) if not there(file, done)]
