"""What was verified before the step began, while the download was at work: how it is kept for the step, and read by it.

A file of JSON lines in the shard's workspace: first what is asked, then an image each. Who works ahead holds it; the
step takes what is there and removes it, without waiting for anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from components.faces.verification import WantedFace
from fec import identity
from fec.journal import Journal
from fec.row_types import from_values, to_json
from fec.rows import VerifiedFace
from fec.segments import StoredImage

EARLY: Final = "early.jsonl"


def asked_of(wanted: Sequence[WantedFace], settings: Mapping[str, Any]) -> str:
    """What stands for the faces of a shard and all that shapes the verdicts on them, but for the originals."""
    return identity.fingerprint({"faces": [astuple(face) for face in wanted], **settings})


def begin(journal: Journal, asked: str) -> set[str]:
    """The images that a journal has of what is ``asked``; what it has of anything else is forgotten."""
    rows, journal.rows = journal.rows, []
    if rows[:1] == [{"asked": asked}]:
        return {row["faces"][0]["image_id"] for row in rows[1:]}
    journal.clear()
    journal.append({"asked": asked})
    return set()


def keep(journal: Journal, faces: Sequence[VerifiedFace]) -> None:
    """Add the faces of an image, whose crops are stored."""
    journal.append({"faces": [to_json(face) for face in faces]})


def verified_early(folder: Path, asked: str, images: Mapping[str, StoredImage]) -> Iterator[list[VerifiedFace]]:
    """The faces of each image that was verified early as it is ``asked``, if its original is still the same.

    Read a line at a time: it may be a whole list.
    """
    try:
        lines = (folder / EARLY).open("rb")
    except FileNotFoundError:
        return
    with lines:
        for number, line in enumerate(lines):
            row = _row(line)
            if row is None or (number == 0 and row != {"asked": asked}):
                return
            if number:
                faces = [from_values(VerifiedFace, value) for value in row["faces"]]
                image, digest = images.get(faces[0].image_id), faces[0].image_sha256
                if image is not None and digest is not None and image.sha256 == digest:
                    yield faces


def _row(line: bytes) -> dict[str, Any] | None:
    """A line's object; None for one that is not whole."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
