"""The requests under way to all hosts; at most half of them to hosts that have not answered yet."""

from __future__ import annotations

import asyncio


class Connections:
    """Places of requests under way, ``most`` of them."""

    def __init__(self, most: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._unproven = asyncio.Semaphore(max(1, most // 2))

    @property
    def contended(self) -> bool:
        """Whether hosts that have not answered yet must wait for each other."""
        return self._unproven.locked()

    async def acquire(self, proven: bool) -> None:
        """Wait for a place."""
        if not proven:
            await self._unproven.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            if not proven:
                self._unproven.release()
            raise

    def release(self, proven: bool) -> None:
        """Give it back; ``proven`` as it was when it was acquired."""
        self._all.release()
        if not proven:
            self._unproven.release()
