"""The funnel of a split: how many images, faces and triplets there were, what became of them, and what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from fec import layout
from fec.errors import RunFailed
from fec.storage import Storage

# The numbers in which a split is told, in the order in which it is worked.
STAGES: Final = ("images", "fetched", "faces", "faces_ok", "triplets", "triplets_ok", "records")
# What the number of a stage is a share of.
WHOLE: Final = {"fetched": "images", "faces_ok": "faces", "triplets_ok": "triplets", "records": "triplets"}


@dataclass(frozen=True)
class Outcomes:
    """How many images, and how many faces, came to each outcome (``fec.outcomes``).

    ``archived`` of the images that were fetched came from a web archive.
    """

    images: Mapping[str, int]
    faces: Mapping[str, int]
    archived: int = 0


@dataclass(frozen=True)
class Repeated:
    """What a split has under more than one URL.

    ``same_bytes``: fetched images whose bytes are those of another; ``alike``: others that look nearly the same as
    another; ``faces``: verified faces of either, or whose crop looks nearly the same as one of another image.
    """

    same_bytes: int
    alike: int
    faces: int


@dataclass(frozen=True)
class Leaks(Repeated):
    """The same of train's images and faces, held against eval's; URLs that both lists have are among them.

    ``triplets`` are those that would be records and have such a face; ``dropped``: they are not among the records.
    """

    triplets: int
    dropped: bool


@dataclass(frozen=True)
class Listed:
    """The subset that a split was held to (``fec.subsets``): its fingerprint, and how many of the split it names.

    ``left_out``: how many survived here with a consensus that the list does not name.
    """

    fingerprint: str
    listed: int
    left_out: int


@dataclass(frozen=True)
class Funnel:
    """What collect found of a split.

    ``images``, ``faces`` and ``triplets`` are those of the plan; ``fetched`` and ``faces_ok`` how many of them were
    good; ``triplets_ok`` those with three good faces, of which ``no_consensus`` are without one and the ``records``
    are left, spread over ``record_shards``. ``types`` counts the records by type, "1" to "3". ``leaks`` is None for
    eval, and where eval's faces had not been verified; so is ``repeated`` in funnels of earlier versions.
    ``subset`` is None where the split was taken whole.
    """

    images: int
    fetched: int
    faces: int
    faces_ok: int
    triplets: int
    triplets_ok: int
    records: int
    record_shards: int
    no_consensus: int
    types: Mapping[str, int]
    outcomes: Outcomes
    repeated: Repeated | None = None
    leaks: Leaks | None = None
    subset: Listed | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Its whole numbers by name, which go into the marker of the collection."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    @property
    def stages(self) -> dict[str, int]:
        """Those of STAGES."""
        return {name: self.counts[name] for name in STAGES}

    def to_bytes(self) -> bytes:
        """The content of ``funnel.json``."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @staticmethod
    def parse(data: bytes) -> Funnel:
        """What ``to_bytes`` gave; ValueError for anything else."""
        try:
            value = json.loads(data)
            parts = {name: part(**value[name]) for name, part in _PARTS.items() if value.get(name) is not None}
            funnel = Funnel(**{**value, "outcomes": Outcomes(**value["outcomes"]), **parts})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a funnel: {error}") from None
        if not all(
            type(value) is int for name, value in vars(funnel).items() if name not in ("types", "outcomes", *_PARTS)
        ):
            raise ValueError("not a funnel: a count that is no number")
        return funnel


_PARTS: Final = {"repeated": Repeated, "leaks": Leaks, "subset": Listed}


def funnel_path(split: str) -> str:
    return f"{layout.collect_dir(split)}/funnel.json"


def read_funnel(storage: Storage, split: str) -> Funnel:
    """The funnel of a collected split; RunFailed if there is none, or none that can be read."""
    path = funnel_path(split)
    try:
        return Funnel.parse(storage.read(path))
    except (FileNotFoundError, ValueError):
        raise RunFailed(
            f"{path} is missing or spoiled: delete {layout.collect_dir(split)}/{layout.DONE} and run the collect step "
            "again"
        ) from None
