"""The fenced blocks of a page, by what they are for.

``sh``: commands that need no cloud, which the tests run. ``console``: commands that need a cloud, a cluster, an engine
or the network. ``text``: a picture or what a command prints. Anything else is a language.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# A command of ours at the beginning of a line, however it is reached.
OURS = re.compile(r"(?:\.venv/bin/)?(?:fec|python -m components\.\w+) ")


@dataclass(frozen=True)
class Fence:
    """A fenced block: the word behind its opening fence, and the lines in it."""

    language: str
    text: str

    def commands(self) -> list[list[str]]:
        """The commands of ours in it, in words; a continued line is one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [shlex.split(line, comments=True) for line in lines if OURS.match(line)]


def fences(page: Path, language: str = "") -> list[Fence]:
    """The blocks of ``page`` in order: all, or those of one language."""
    found = re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [Fence(*block) for block in found if language in ("", block[0])]
