"""Where a process takes its memory from: in one place, so that what one library frees is the next one's."""

from __future__ import annotations

import os


def take_memory_in_one_place() -> None:
    """Have Arrow take its memory from the C library, as all else does; to be called before Arrow is imported.

    Its own allocator keeps much of what tables were made in, and reading and writing Parquet use it whatever pool they
    are given. A choice of the user's, in Arrow's own ``ARROW_DEFAULT_MEMORY_POOL``, stays.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
