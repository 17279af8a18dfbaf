"""Whose faces are to be embedded: pictures by name, folders of them, and boxes that say where the faces are."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fec.boxes import Box
from fec.errors import ConfigurationError

# The endings of what a folder is searched for; a picture that is named is read whatever its ending.
ENDINGS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
COLUMNS: Final = ("picture", "left", "right", "top", "bottom")


def pictures_in(places: Sequence[str]) -> list[Path]:
    """The pictures named, and those in the folders named, at any depth, sorted within each.

    Raises ConfigurationError for what is not there, and for a folder without pictures.
    """
    found: list[Path] = []
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
            if not inside:
                raise ConfigurationError(f"{place}: there are no pictures in this folder ({', '.join(ENDINGS)})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ConfigurationError(f"{place}: there is no such picture or folder")
    return list(dict.fromkeys(found))


def read_boxes(path: Path) -> dict[Path, list[Box]]:
    """The boxes of a CSV with the columns ``picture``, ``left``, ``right``, ``top``, ``bottom``, by picture.

    A picture is a path, from the CSV's own folder; edges are fractions of the picture as a viewer shows it. Raises
    ConfigurationError, with the line, for what is not so.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise ConfigurationError(f"--boxes {path}: no column {missing[0]}; expected {', '.join(COLUMNS)}")
            found: dict[Path, list[Box]] = {}
            for row in rows:
                box = _box(row, f"--boxes {path}, line {rows.line_num}")
                found.setdefault((path.parent / row["picture"]).resolve(), []).append(box)
    except OSError as error:
        raise ConfigurationError(f"--boxes {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"--boxes {path}: not a CSV ({error})") from None
    return found


def _box(row: Mapping[str, str | None], where: str) -> Box:
    try:
        left, right, top, bottom = (float(row[name] or "") for name in COLUMNS[1:])
    except ValueError:
        raise ConfigurationError(f"{where}: an edge that is no number") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigurationError(f"{where}: expected fractions with left < right and top < bottom, each 0 to 1")
    return Box(left, right, top, bottom)
