"""What a download asks of the machine it runs on: open files, and memory that is used again."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from typing import Final

from fec.errors import ConfigurationError

_OPEN_FILES: Final = 65_536
# glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: what is smaller than the first comes from what was freed before, of
# which as much as the second may lie idle.
_MALLOC: Final = {-3: 4 << 20, -1: 16 << 20}


def keep_what_is_freed() -> None:
    """Let the memory of one picture be that of the next: taken from the system anew each time, and given back, it
    costs as much as what is read into it. Left as it is where the C library has no such choice."""
    with contextlib.suppress(OSError, AttributeError):
        choose = ctypes.CDLL(None).mallopt
        for option, size in _MALLOC.items():
            choose(option, size)


def allow_open_files(needed: int) -> None:
    """As many open files as this process may have without asking; ConfigurationError if that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigurationError(
            f"group: its shards need {needed:,} open files and this process may have {hard:,}; raise the limit "
            "(ulimit -Hn), or plan more groups or fewer shards"
        )
