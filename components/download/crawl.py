"""The crawl: a queue a host key, a number of them at a time, until every image has its end.

A slow or dead host holds up nobody else: each key has a queue of its own, and those that have not answered yet share
half of the connections. An image is only given an outcome by its own answer; one whose turn never came is
``not_asked``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from components.download.queues import Queue
from components.download.shared import Host, Shared

# Hosts worked at a time; each is a queue, most of them waiting.
ACTIVE_HOSTS: Final = 256


async def crawl(hosts: Iterable[Host], shared: Shared) -> None:
    """Fetch everything wanted of ``hosts``; returns when ``on_result`` was called for every request.

    Raises RunFailed for an outage, with ``not_asked`` as the outcome of what was asked while it lasted.
    """
    active = asyncio.Semaphore(ACTIVE_HOSTS)

    async def work(host: Host) -> None:
        try:
            await Queue(host, shared).run()
        finally:
            shared.weather.active.discard(host.key)
            shared.rest(host.key)
            active.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            for host in hosts:
                await active.acquire()
                shared.weather.active.add(host.key)
                shared.wake(host.key)
                tasks.create_task(work(host))
    except BaseException:
        if shared.weather.closed:
            await shared.leave_doubtful()
        raise
    await shared.release(shared.pending)
