"""At the end of a crawl few hosts are left, and nothing can hurry them: which, and why, is said now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from components.download.pace import Pace, Paces
from fec.progress import event

# So many hosts are named; while more are at work, what is waited for is the network.
FEW: Final = 3
# Seconds before it is said for the first time, and the longest between two times; each is twice the one before.
FIRST: Final = 10.0
LONGEST: Final = 600.0
# A turn that is further off than this is a rest that the host asked for.
_REST: Final = 5.0


async def tell_of_tail(task: str, left: Mapping[str, int], paces: Paces, first: float = FIRST) -> None:
    """Say which hosts are waited for once they are few, ever more seldom; until it is cancelled.

    ``left``: how many images of each host key have not ended; it changes meanwhile.
    """
    pause = first
    while True:
        await asyncio.sleep(pause)
        waiting = {key: count for key, count in left.items() if count}
        if not 0 < len(waiting) <= FEW:
            continue
        now = asyncio.get_running_loop().time()
        told = "; ".join(f"{key} ({count:,} left, {_why(paces.of(key), count, now)})" for key, count in waiting.items())
        event("waiting", f"{task}: waiting for {told}", hosts=waiting)
        pause = min(LONGEST, 2 * pause)


def _why(pace: Pace, count: int, now: float) -> str:
    rest = pace.next - now
    if rest > _REST:
        return f"it asked for {timedelta(seconds=round(rest))} of rest"
    least = timedelta(seconds=round(count * pace.delay))
    return f"asked every {pace.delay:.2g} s at the most: {least} at least"
