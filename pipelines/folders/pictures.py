"""Pictures in a folder that holds one sub-folder a class, whose they are, and which of them are kept for evaluation."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2

from components.train.choice import FEW_FACES
from fec.errors import ConfigurationError
from fec.progress import event

# Of the subjects, as in the published splits of CK+: 24 of 118.
EVAL_SHARE: Final = 0.2
# Side in the records: of a small set's faces; of a large one's if they are up to CROP pixels wide, as such sets are
# mostly published; and if they are larger. A step costs a CPU about twice as much at 64 pixels as at 32. Of few faces
# more pixels are worth more than more steps (components/train/README.md).
CROP: Final = 48
OF_FEW: Final = 40
OF_CROPS: Final = 32
OF_OTHERS: Final = 64
_LOOKED_AT: Final = 25


@dataclass(frozen=True)
class Picture:
    """A picture file, the class its folder stands for, who is on it, and its ``name``: the path within that folder."""

    path: Path
    label: str
    subject: str
    name: str


def pictures_of(folder: Path, pattern: str = "") -> list[Picture]:
    """Every picture of ``folder``, sorted by class and path.

    ``pattern`` is a regular expression with one group that finds the subject in a file's name; without one every file
    is a subject of its own. Files that are no pictures are left out and counted. Raises ConfigurationError for a folder
    or a pattern of another form.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"--images {folder}: expected a folder that holds one sub-folder a class")
    finder = _compiled(pattern)
    found: list[Picture] = []
    others = 0
    for path in sorted(folder.glob("*/**/*")):
        if path.is_dir():
            continue
        if not cv2.haveImageReader(str(path)):
            others += 1
            continue
        below = path.relative_to(folder)
        label, name = below.parts[0], Path(*below.parts[1:]).as_posix()
        found.append(Picture(path, label, _subject(finder, path) if finder else below.as_posix(), name))
    if len({picture.label for picture in found}) < 2:
        raise ConfigurationError(f"--images {folder}: expected pictures in two sub-folders at least, one a class")
    if others:
        event("left_out", f"{others:,} files of {folder} are no pictures and are left out", severity="WARNING")
    return found


def image_size_for(pictures: Sequence[Picture]) -> int:
    """The side, in pixels, that faces of ``pictures`` should have in the records, by how many and what they are."""
    if len(pictures) <= FEW_FACES:
        return OF_FEW
    some = (cv2.imread(str(picture.path)) for picture in pictures[:: max(1, len(pictures) // _LOOKED_AT)])
    sides = sorted(min(pixels.shape[:2]) for pixels in some if pixels is not None)
    return OF_OTHERS if sides and sides[len(sides) // 2] > CROP else OF_CROPS


def split_by_subject(pictures: Sequence[Picture], seed: int) -> tuple[list[Picture], list[Picture]]:
    """The pictures to train on and those to evaluate on, which share no subject."""
    subjects = sorted({picture.subject for picture in pictures})
    random.Random(seed).shuffle(subjects)  # noqa: S311 - a split, not a secret
    kept = set(subjects[: max(1, round(EVAL_SHARE * len(subjects)))])
    return (
        [picture for picture in pictures if picture.subject not in kept],
        [picture for picture in pictures if picture.subject in kept],
    )


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"--subjects {pattern!r}: no regular expression ({error})") from None
    if finder.groups != 1:
        raise ConfigurationError(f"--subjects {pattern!r}: expected one group, such as ^(S[0-9]+)_")
    return finder


def _subject(finder: re.Pattern[str], path: Path) -> str:
    match = finder.search(path.name)
    if match is None or match[1] is None:
        raise ConfigurationError(f"--subjects {finder.pattern!r}: finds no subject in {path.name}")
    return match[1]
