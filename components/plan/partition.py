"""Which shard fetches which image, so that the rate per host holds without a coordinator."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable


def shards_per_host(num_shards: int, requests_per_second: float, task_requests_per_second: float) -> int:
    """In how many shards a host key lives: 1, unless one task could not reach the rate."""
    return min(num_shards, max(1, math.ceil(requests_per_second / task_requests_per_second)))


def partition(images: Iterable[tuple[str, str]], num_shards: int, shards_per_host: int = 1) -> dict[str, int]:
    """The shard, 0..num_shards-1, of each image given as (image id, host key).

    Every host key lives in ``shards_per_host`` shards (fewer if it has fewer images), its images spread evenly in
    the order of their ids. The largest keys are placed first, each on the shards with the fewest images; equals
    are taken by name and by number, so that the order of ``images`` makes no difference.
    """
    by_host: dict[str, list[str]] = {}
    for image, host in images:
        by_host.setdefault(host, []).append(image)
    loads = [(0, shard) for shard in range(num_shards)]
    shard_of: dict[str, int] = {}
    for host in sorted(by_host, key=lambda host: (-len(by_host[host]), host)):
        ids = sorted(by_host[host])
        width = min(shards_per_host, num_shards, len(ids))
        chosen = [heapq.heappop(loads) for _ in range(width)]
        for i, (load, shard) in enumerate(chosen):
            mine = ids[i::width]
            shard_of.update(dict.fromkeys(mine, shard))
            heapq.heappush(loads, (load + len(mine), shard))
    return shard_of
