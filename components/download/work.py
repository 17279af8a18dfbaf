"""The shards of a group: the crawl that gets what they lack, and whether it is enough."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from components.download.addresses import networks
from components.download.answers import Answer, Limits
from components.download.crawl import crawl
from components.download.fetch import fetcher
from components.download.left import say_what_is_left
from components.download.pace import Paces
from components.download.parameters import Parameters
from components.download.shards import (
    Shard,
    adopt_from_earlier_plans,
    close,
    close_all,
    finish,
    seal_now_and_then,
    store,
    unfinished,
)
from components.download.shared import CrawlPolicy, Host, Request, Shared
from components.download.weather import Weather
from fec import layout, tables
from fec.done import read_done, read_markers
from fec.errors import ConfigurationError, RunFailed
from fec.layout import Group
from fec.outcomes import ImageOutcome
from fec.progress import Progress, task_name, track
from fec.storage import Storage, open_storage

# Files open at a time: two a shard, one a connection, and these; and what is asked for of the machine.
_OTHER_FILES: Final = 64
_OPEN_FILES: Final = 65_536
# Of the rate of a key that another task has, what all those that were not given it have together, for redirects.
FOREIGN_SHARE: Final = 0.05


@dataclass(frozen=True)
class Rates:
    """Requests a second: to each planned key, and to each that is in no plan."""

    planned: dict[str, float]
    other: float


def download(parameters: Parameters) -> None:
    """Work all shards of the group together, so that every host has one queue."""
    storage = open_storage(parameters.root)
    plan = read_done(storage, layout.plan_dir(parameters.split))
    if plan is None:
        raise RunFailed(f"{storage.root} has no finished plan of {parameters.split}: run the plan step first")
    group = Group.parse(parameters.group)
    numbers = set(group.of(int(plan.details["num_shards"])))
    images = tables.read_table(storage, f"{layout.plan_dir(parameters.split)}/images.parquet")
    rates = _rates(images, numbers, parameters.requests_per_second, group.count)
    mine = images.filter(pc.is_in(images["shard"], value_set=_int32(numbers)))
    urls: dict[int, dict[str, str]] = {number: {} for number in sorted(numbers)}
    keys: dict[str, str] = {}
    columns = (mine[name].to_pylist() for name in ("image_id", "url", "shard", "host_key"))
    for image_id, url, number, key in zip(*columns, strict=True):
        urls[number][image_id] = url
        keys[image_id] = key
    found = [unfinished(storage, parameters, number, wanted) for number, wanted in urls.items()]
    shards = [shard for shard in found if shard is not None]
    if shards:
        _allow_open_files(2 * len(shards) + parameters.connections + _OTHER_FILES)
        adopt_from_earlier_plans(storage, parameters, shards)
        crawled = _crawled(_crawl(storage, parameters, rates, keys, shards))
        _judge(parameters, crawled, len(mine) - sum(crawled.asked.values()))
        for shard in shards:
            finish(storage, parameters, shard)
    markers = read_markers(storage, [layout.images_dir(parameters.split, number) for number in sorted(numbers)])
    say_what_is_left(parameters, [done for done in markers if done is not None])


@dataclass
class Crawled:
    """How the images of one crawl ended, by host key.

    ``stubborn`` are those that failed for a transient cause as they had ``retry_transient_after`` before, or longer.
    """

    asked: Counter[str] = field(default_factory=Counter)
    transient: Counter[str] = field(default_factory=Counter)
    stubborn: Counter[str] = field(default_factory=Counter)
    answering: set[str] = field(default_factory=set)
    last: dict[str, Answer] = field(default_factory=dict)


def _crawled(crawling: Coroutine[None, None, Crawled]) -> Crawled:
    """Run the crawl; what it fails of is raised by itself."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(crawling)
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None


def _allow_open_files(needed: int) -> None:
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


def _int32(numbers: set[int]) -> pa.Array:
    return pa.array(sorted(numbers), type=pa.int32())


def _rates(images: pa.Table, numbers: set[int], rate: float, tasks: int) -> Rates:
    """What this task, one of ``tasks``, may ask of each host key, so that all of them together keep to ``rate``.

    A key that lives in k shards of which j are ours has j/k of the rate, whoever runs the others, and when. A redirect
    may lead any task to any key, so a little of it is kept for those that have none of its shards.
    """
    living: dict[str, set[int]] = {}
    places = images.select(["host_key", "shard"]).group_by(["host_key", "shard"]).aggregate([])
    for key, shard in zip(places["host_key"].to_pylist(), places["shard"].to_pylist(), strict=True):
        living.setdefault(key, set()).add(shard)
    foreign = FOREIGN_SHARE if tasks > 1 else 0.0
    planned = {
        key: rate * ((1 - foreign) * len(shards & numbers) / len(shards) or foreign / (tasks - 1))
        for key, shards in living.items()
    }
    return Rates(planned, rate / tasks)


def _hosts(shards: Sequence[Shard], keys: dict[str, str], stubborn: set[str]) -> list[Host]:
    """What is wanted of each host key: images never asked for first, each time in another order."""
    requests: dict[str, list[Request]] = {}
    good = {
        keys[image_id]
        for shard in shards
        for image_id, image in shard.known.items()
        if image.outcome is ImageOutcome.FETCHED
    }
    wanted = [(shard.asked_before(image_id), image_id, shard) for shard in shards for image_id in shard.wanted]
    random.shuffle(wanted)
    for _, image_id, shard in sorted(wanted, key=lambda entry: entry[0]):
        request = Request(image_id, shard.urls[image_id], shard.number, image_id in stubborn)
        requests.setdefault(keys[image_id], []).append(request)
    return [Host(key, some, key in good) for key, some in requests.items()]


def _stubborn(shards: Sequence[Shard], after: float) -> set[str]:
    """Images that failed for a passing cause so long ago that they had their time."""
    now = datetime.now(UTC)
    return {
        image_id
        for shard in shards
        for image_id, image in shard.known.items()
        if image.outcome.transient and now - image.finished_at >= timedelta(seconds=after)
    }


async def _crawl(
    storage: Storage, parameters: Parameters, rates: Rates, keys: dict[str, str], shards: list[Shard]
) -> Crawled:
    crawled = Crawled()
    stop = _told_to_stop()
    for shard in shards:
        if not shard.wanted:
            await close(shard)
    left = {shard.number: len(shard.wanted) for shard in shards}
    home = {image_id: shard for shard in shards for image_id in shard.wanted}
    total = sum(len(shard.urls) for shard in shards)
    stubborn = _stubborn(shards, parameters.retry_transient_after)
    with track(task_name("download", parameters.split, parameters.group), total, "images") as progress:
        _count_known(progress, shards)

        async def on_result(request: Request, answer: Answer, attempts: int) -> None:
            shard = home[request.image_id]
            _note(crawled, keys[request.image_id], answer, request.image_id in stubborn)
            try:
                await store(storage, parameters, shard, request, answer, attempts)
            finally:
                client.stored(answer)
            left[shard.number] -= 1
            if not left[shard.number]:
                await close(shard)
            progress.advance(outcome=str(answer.outcome))

        obey = parameters.robots == "obey"
        limits = Limits(
            parameters.timeout, parameters.connect_timeout, parameters.max_bytes, parameters.max_redirects, obey
        )
        policy = CrawlPolicy(parameters.attempts, parameters.connections_per_host, parameters.connections)
        allowed = networks(parameters.allow_network)
        async with fetcher(allowed, limits, parameters.introduction, parameters.connections) as client:
            paces, weather = Paces(rates.planned, rates.other), Weather(parameters.outage_patience)
            shared = Shared(client, on_result, policy, paces, weather, obey)
            work = asyncio.ensure_future(crawl(_hosts(shards, keys, stubborn), shared))
            stopping = asyncio.ensure_future(stop.wait())
            sealing = asyncio.ensure_future(seal_now_and_then(storage, shards))
            tasks: set[asyncio.Future[Any]] = {work, stopping, sealing}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    raise RunFailed("told to stop; what was fetched is stored, and running again goes on from there")
                await (sealing if sealing.done() else work)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await close_all(shards)
    return crawled


def _count_known(progress: Progress, shards: list[Shard]) -> None:
    known = sum(len(shard.urls) - len(shard.wanted) for shard in shards)
    if known:
        progress.advance(known, outcome="known")


def _note(crawled: Crawled, key: str, answer: Answer, stubborn: bool) -> None:
    crawled.asked[key] += 1
    if answer.answered:
        crawled.answering.add(key)
    if answer.outcome.transient:
        crawled.transient[key] += 1
        crawled.last[key] = answer
        crawled.stubborn[key] += stubborn


def _judge(parameters: Parameters, crawled: Crawled, known: int) -> None:
    """Fail if this looks like an outage; ``known`` images of the group were not asked for again.

    A host that never answered, while others did, is its own trouble: many of the hosts on a list from 2018
    are gone for good. Only what was asked of hosts that do answer counts then. So is a host that still fails after
    ``retry_transient_after``: a group that has only such hosts fails at first, not for ever. What
    earlier attempts came to counts too: the few images left to an attempt that goes on may well be the hopeless ones.
    """
    keys = crawled.answering or crawled.asked.keys()
    asked = sum(crawled.asked[key] for key in keys)
    failed = Counter({key: crawled.transient[key] - crawled.stubborn[key] for key in keys})
    if asked and failed.total() > parameters.max_transient * (asked + known):
        key, most = failed.most_common(1)[0]
        last = crawled.last[key]
        raise RunFailed(
            f"{failed.total():,} of {asked:,} images of {parameters.split} could not be fetched for transient causes, "
            f"{most:,} of them at {key} ({last.outcome}: {last.detail}); what was fetched is kept. Check the network "
            f"and run again; hosts that still fail after {parameters.retry_transient_after:.0f} s are done without"
        )


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM (a node is taken away), so that what was fetched is sealed in time."""
    stop = asyncio.Event()
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, or no signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop
