"""Where the bytes of a fetched image lie, and how they are read: a part of a segment's tar."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from fec.errors import RunFailed
from fec.storage import Storage

FORGET: Final = "delete the segment's .tar and .parquet and the _DONE.json beside them to fetch its images again"


@dataclass(frozen=True)
class Original:
    """An image as its host sent it: ``length`` bytes from ``offset`` of the file ``path`` below the root."""

    url: str
    path: str
    offset: int
    length: int
    sha256: str | None

    def read(self, storage: Storage) -> bytes:
        """The bytes; raises RunFailed, naming the file, if they are missing or not those that were stored."""
        try:
            data = storage.read_range(self.path, self.offset, self.length)
        except FileNotFoundError:
            raise RunFailed(f"{self.path} is missing, though its manifest is there; restore it, or {FORGET}") from None
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise RunFailed(
                f"{self.path}: the bytes of {self.url} at {self.offset} are not those that were stored; "
                f"restore the file, or {FORGET}"
            )
        return data
