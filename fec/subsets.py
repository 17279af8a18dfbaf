"""A list of surviving triplets without their pictures: two groups that both keep to it report comparable numbers.

A CSV as ``fec subset`` writes it: ids, and the digests of the originals. A triplet is known by its split and the ids
of its faces, which are hashes of URLs and boxes: the same in every root.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError
from fec.layout import SPLITS
from fec.rows import FACE_COLUMNS
from fec.storage import open_storage

DIGESTS: Final = ("sha256_a", "sha256_b", "sha256_c")
COLUMNS: Final = ("split", "line", *FACE_COLUMNS, *DIGESTS)
# What stands between the ids of a triplet's faces.
SEPARATOR: Final = " "
_ID: Final = re.compile("[0-9a-f]{16}")
_FINGERPRINT: Final = 16


@dataclass(frozen=True)
class Subset:
    """The listed triplets by split, each as its three ids with SEPARATOR between them."""

    triplets: Mapping[str, frozenset[str]]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that stand for exactly these triplets, in whatever order they are listed."""
        digest = hashlib.sha256()
        for split in SPLITS:
            for triplet in sorted(self.triplets.get(split, ())):
                digest.update(f"{split} {triplet}\n".encode())
        return digest.hexdigest()[:_FINGERPRINT]

    def of(self, split: str) -> frozenset[str]:
        """The triplets of one split."""
        return self.triplets.get(split, frozenset())


def to_csv(rows: Iterable[Mapping[str, object]]) -> bytes:
    """The content of such a list; ``rows`` have COLUMNS."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parse(data: bytes, name: str) -> Subset:
    """What a list says; ConfigurationError, with ``name`` and the line, for what is none."""
    try:
        rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
        wanted = ("split", *FACE_COLUMNS)
        if missing := [column for column in wanted if column not in (rows.fieldnames or ())]:
            raise ConfigurationError(f"{name}: no column {missing[0]}; expected a list as fec subset writes it")
        found: dict[str, set[str]] = {}
        for row in rows:
            ids = [row[column] or "" for column in FACE_COLUMNS]
            if row["split"] not in SPLITS or not all(map(_ID.fullmatch, ids)):
                raise ConfigurationError(f"{name}, line {rows.line_num}: expected a split and three ids of faces")
            found.setdefault(row["split"], set()).add(SEPARATOR.join(ids))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{name}: not a CSV ({error})") from None
    if not found:
        raise ConfigurationError(f"{name}: there is no triplet in it")
    return Subset({split: frozenset(triplets) for split, triplets in found.items()})


def read_subset(place: str) -> Subset:
    """The list at ``place``: a file, or an object at gs:// or s3://; ConfigurationError where there is none."""
    folder, _, name = place.rpartition("/")
    storage = open_storage(folder or ("/" if place.startswith("/") else "."), read_only=True)
    try:
        data = storage.read(name)
    except (FileNotFoundError, IsADirectoryError, ValueError):
        raise ConfigurationError(f"subset {place}: there is no such file") from None
    return parse(data, f"subset {place}")
