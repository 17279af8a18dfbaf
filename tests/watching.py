"""Looking into a folder in which another process is at work: what goes away meanwhile was not there."""

import contextlib
import glob
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def found(folder: Path, pattern: str) -> list[Path]:
    """What is below ``folder`` by ``pattern``; ``**`` is any number of folders, hidden ones too.

    ``Path.glob`` raises if a folder is removed while it looks into it, which a step does with its ``.work``.
    """
    paths = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)  # noqa: PTH207
    return [folder / path for path in paths]


def content(path: Path) -> bytes:
    """What is in the file, nothing if it has gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command as a process that does not outlive a test, also one that fails."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()
