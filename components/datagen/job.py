"""What is to be made of a split, and which of its files are still to be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from components.datagen.parameters import Parameters
from fec.done import Done, read_markers
from fec.presets import Preset
from fec.record_families import LAYOUTS, Kind, RecordFamily
from fec.storage import Storage


@dataclass(frozen=True)
class RecordFile:
    """The file of that number in its family."""

    family: RecordFamily
    number: int

    @property
    def kind(self) -> Kind:
        return self.family.kind

    @property
    def path(self) -> str:
        return self.family.path(self.number)

    @property
    def done_dir(self) -> str:
        return self.family.done_dir(self.number)


@dataclass(frozen=True)
class Job:
    """What is to be made of a split.

    ``triplets`` and ``record_shards`` are those of the preset, ``collected`` is the digest of what collect put out.
    """

    parameters: Parameters
    preset: Preset
    triplets: int
    record_shards: int
    collected: str

    def files(self, record_shards: Iterable[int]) -> list[RecordFile]:
        """The files that these record shards have in the layout."""
        p = self.parameters
        families = [
            RecordFamily(p.split, self.preset.name, kind, self.record_shards, self.triplets)
            for kind in LAYOUTS[p.layout]
        ]
        return [RecordFile(family, number) for number in record_shards for family in families]

    @property
    def made_from(self) -> dict[str, Any]:
        """What all files of the job are made from; goes into their markers."""
        settings = {name: value for name, value in self.parameters.settings.items() if name != "step"}
        return {"collect": self.collected, **settings}

    def fingerprint(self, file: RecordFile) -> str:
        return file.family.fingerprint(file.number, self.made_from)


def unfinished(storage: Storage, job: Job, files: Sequence[RecordFile]) -> list[RecordFile]:
    """Those of ``files`` that are not there as the job wants them."""
    markers = read_markers(storage, [file.done_dir for file in files])
    sizes = {entry.path: entry.size for entry in storage.list("records")} if any(markers) else {}

    def there(file: RecordFile, done: Done | None) -> bool:
        return (
            done is not None
            and done.fingerprint == job.fingerprint(file)
            and sizes.get(file.path) == done.counts["bytes"]
        )

    return [file for file, done in zip(files, markers, strict=True) if not there(file, done)]
