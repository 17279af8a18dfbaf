"""What verifying a root comes to: faults, what was checked, what is not finished or not there yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """Something that does not hold: the file or folder, relative to the root, and what is wrong with it.

    ``mend`` says what to do, where that is not what is done about any such file.
    """

    path: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Unfinished:
    """A step that has done ``done`` of ``of`` shards or record files of a split; ``what`` says of what."""

    split: str
    what: str
    done: int
    of: int

    def __str__(self) -> str:
        return f"{self.what} of {self.split} ({self.done:,} of {self.of:,})"


@dataclass(frozen=True)
class Shared:
    """What the two splits have in common: photographs may be, and are worth knowing; faces and triplets may not."""

    photographs: int
    faces: int
    triplets: int


@dataclass
class Findings:
    """Filled in the order in which a root is gone through, by one thread.

    ``checked`` counts what was read back, by what it is and by split. ``absent`` names what nobody has asked for
    yet. ``shared`` is None unless both splits are collected.
    """

    faults: list[Fault] = field(default_factory=list)
    checked: dict[str, dict[str, int]] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    shared: Shared | None = None

    def fault(self, path: str, what: str, mend: str = "") -> None:
        self.faults.append(Fault(path, what, mend))

    def add(self, faults: Iterable[Fault]) -> None:
        self.faults += faults

    def count(self, what: str, split: str, number: int) -> None:
        """``number`` more of ``what`` were read back."""
        by_split = self.checked.setdefault(what, {})
        by_split[split] = by_split.get(split, 0) + number

    def progress(self, split: str, what: str, done: int, of: int) -> None:
        """Note a step that has not finished all its shards; one that has not begun is absent."""
        if done == 0:
            self.absent.append(f"{what} of {split}")
        elif done < of:
            self.unfinished.append(Unfinished(split, what, done, of))
