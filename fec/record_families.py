"""The kinds of record files there are, what they are called, and what the marker of each stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from fec import identity, layout
from fec.presets import first_row


class Kind(StrEnum):
    """What the examples of a record file are."""

    TRIPLETS = "triplets"
    """Triplets with their faces inside (``fec.records.TripletExample``)."""
    FACES = "faces"
    """Faces, each once (``fec.face_records.FaceExample``)."""
    IDS = "ids"
    """Triplets that name their faces (``fec.face_records.IdTripletExample``)."""


# The ways to lay records out, and the kinds of files of each.
LAYOUTS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "triplets": (Kind.TRIPLETS,),
    "faces": (Kind.FACES, Kind.IDS),
    "both": (Kind.TRIPLETS, Kind.FACES, Kind.IDS),
}
# What a marker says of the file itself; all else in its details is what the file was made from.
_OF_THE_FILE: Final = ("sha256", "faces_held")


@dataclass(frozen=True)
class RecordFamily:
    """The record files of a split, a preset and a kind: ``record_shards`` of them.

    ``triplets`` is how many triplets they are for, None where that is not known.
    """

    split: str
    preset: str
    kind: Kind
    record_shards: int
    triplets: int | None

    @property
    def problem(self) -> str:
        """What the names of the files begin with."""
        name = {Kind.FACES: layout.faces_problem, Kind.IDS: layout.triplets_problem}.get(self.kind)
        return name(self.preset) if name else self.preset

    @property
    def prefix(self) -> str:
        """What Tensor2Tensor's and our own readers look for, with anything behind it."""
        return f"{self.problem}-{layout.RECORD_SPLIT[self.split]}"

    @property
    def name(self) -> str:
        """What stands for all of the files in a message."""
        return f"records/{self.prefix}-*"

    @property
    def counted(self) -> str:
        """What a marker calls the number of examples."""
        return "faces" if self.kind is Kind.FACES else "triplets"

    def path(self, number: int) -> str:
        return layout.record_file(self.split, number, self.record_shards, self.problem)

    def done_dir(self, number: int) -> str:
        return layout.record_done_dir(self.split, number, self.record_shards, self.problem)

    def paths(self) -> list[str]:
        return [self.path(number) for number in range(self.record_shards)]

    def triplets_of(self, number: int) -> range | None:
        """The collected triplets whose faces or ids a file holds."""
        if self.triplets is None:
            return None
        first, after = (first_row(n, self.triplets, self.record_shards) for n in (number, number + 1))
        return range(first, after)

    def fingerprint(self, number: int, made_from: Mapping[str, Any]) -> str:
        """That of the marker of a file that was made from collection and settings ``made_from``."""
        return identity.fingerprint({"step": "datagen", "file": [self.kind, number], **made_from})


def made_from(details: Mapping[str, Any]) -> dict[str, Any]:
    """What the details of a file's marker say it was made from."""
    return {name: value for name, value in details.items() if name not in _OF_THE_FILE}
