"""Photographs of a folder, with the boxes that a CSV of ``file,left,right,top,bottom`` (fractions, no header) says."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import TooManyPixels, Unreadable, decode

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Photograph:
    """A picture's bytes and the boxes in it."""

    data: bytes
    boxes: tuple[Box, ...]


def boxed_photographs(images: Path, boxes: Path) -> list[Photograph]:
    """The files of the folder ``images`` that the CSV ``boxes`` names.

    A picture that cannot be decoded is left out, and told. Raises ConfigurationError for a CSV that is none, for files
    that are not there, and where no picture is left.
    """
    by_file: dict[str, list[Box]] = {}
    for name, box in _rows(boxes):
        by_file.setdefault(name, []).append(box)
    if not images.is_dir():
        raise ConfigurationError(f"{images} is no folder: name the one with the photographs of {boxes}")
    if missing := [name for name in by_file if not (images / name).is_file()]:
        raise ConfigurationError(
            f"{len(missing)} of the {len(by_file)} files that {boxes} names are not in {images}, such as {missing[0]}"
        )
    photographs = []
    for name, faces in by_file.items():
        data = (images / name).read_bytes()
        try:
            decode(data, MAX_PIXELS)
        except (Unreadable, TooManyPixels) as error:
            print(f"left out: {name}: {error}")
            continue
        photographs.append(Photograph(data, tuple(faces)))
    if not photographs:
        raise ConfigurationError(f"none of the {len(by_file)} files that {boxes} names can be decoded")
    return photographs


def _rows(boxes: Path) -> Iterator[tuple[str, Box]]:
    try:
        lines = boxes.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigurationError(f"{boxes} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{boxes} is no CSV in UTF-8") from None
    rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if row]
    if not rows:
        raise ConfigurationError(f"{boxes} names no file")
    for number, row in rows:
        box = _box(row[1:])
        if box is None:
            found = ",".join(row)[:80]
            raise ConfigurationError(
                f"{boxes}:{number}: expected file,left,right,top,bottom with fractions from 0 to 1, found {found!r}"
            )
        yield row[0], box


def _box(values: list[str]) -> Box | None:
    """The box, None for what is none."""
    try:
        left, right, top, bottom = (float(value) for value in values)
    except ValueError:
        return None
    return Box(left, right, top, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None
