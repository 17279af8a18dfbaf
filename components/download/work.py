"""The shards of a group: the crawl that gets what they lack, and whether it is enough."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from components.download.addresses import networks
from components.download.adoption import adopt_from_earlier_plans
from components.download.answers import Answer, Limits
from components.download.crawl import crawl
from components.download.fetch import fetcher
from components.download.left import say_what_is_left
from components.download.lookups import Archive, look_for_lost
from components.download.machine import allow_open_files, keep_what_is_freed
from components.download.pace import Paces
from components.download.parameters import Parameters
from components.download.shards import (
    Shard,
    close,
    close_all,
    finish,
    seal_now_and_then,
    store,
    unfinished,
)
from components.download.shared import CrawlPolicy, Request, Shared
from components.download.tail import tell_of_tail
from components.download.wanted import hosts_of
from components.download.weather import Weather
from fec import layout, segments, tables
from fec.done import read_done, read_markers
from fec.errors import RunFailed
from fec.hosts import host_key
from fec.layout import Group
from fec.progress import Progress, task_name, track
from fec.rows import PlannedImage
from fec.storage import Storage, open_storage

# Rows of the plan that are read at a time.
_ROWS: Final = 8_192
# Files open at a time: two a shard, one a connection, and these.
_OTHER_FILES: Final = 64
# Of the rate of a key that another task has, what all those that were not given it have together, for redirects.
FOREIGN_SHARE: Final = 0.05


@dataclass(frozen=True)
class Rates:
    """Requests a second: to each planned key, and to each that is in no plan."""

    planned: dict[str, float]
    other: float


def download(parameters: Parameters) -> None:
    """Work all shards of the group together, so that every host has one queue."""
    # Each thread keeps memory to itself.
    pa.set_cpu_count(1)
    keep_what_is_freed()
    storage = open_storage(parameters.root)
    plan = read_done(storage, layout.plan_dir(parameters.split))
    if plan is None:
        raise RunFailed(f"{storage.root} has no finished plan of {parameters.split}: run the plan step first")
    group = Group.parse(parameters.group)
    numbers = set(group.of(int(plan.details["num_shards"])))
    images = _planned(storage, parameters, numbers)
    shards = _shards(storage, parameters, numbers, images)
    if shards:
        rates = _rates(_places(storage, parameters), numbers, parameters.requests_per_second, group.count)
        if parameters.archive:
            # In proportion to its images, so that all tasks, each with its share, take about as long.
            share = len(images) / int(plan.counts["images"])
            rates.planned[host_key(parameters.archive)] = parameters.archive_rate * share
        allow_open_files(2 * len(shards) + parameters.connections + _OTHER_FILES)
        adopt_from_earlier_plans(storage, parameters, shards)
        tables.release_memory()
        _crawled(_crawl(storage, parameters, rates, shards, len(images)))
        for shard in shards:
            shard.images = shard.images.select(["image_id"])
        del images
        for shard in shards:
            finish(storage, parameters, shard)
    markers = read_markers(storage, [layout.images_dir(parameters.split, number) for number in sorted(numbers)])
    say_what_is_left(parameters, [done for done in markers if done is not None])


def _images(parameters: Parameters) -> str:
    return f"{layout.plan_dir(parameters.split)}/images.parquet"


def _planned(storage: Storage, parameters: Parameters, numbers: set[int]) -> pa.Table:
    """The images of these shards, sorted by shard and id; their host keys as numbers into one dictionary."""
    schema = tables.schema(PlannedImage)
    mine = pa.array(sorted(numbers), schema.field("shard").type)
    key = schema.get_field_index("host_key")
    coded = schema.set(key, schema.field(key).with_type(pa.dictionary(pa.int32(), pa.string())))
    batches = tables.read_batches(storage, _images(parameters), schema.names, _ROWS)
    some = [batch.filter(pc.is_in(batch["shard"], value_set=mine)).cast(coded) for batch in batches]
    return pa.Table.from_batches([batch for batch in some if len(batch)], coded).unify_dictionaries()


def _shards(storage: Storage, parameters: Parameters, numbers: set[int], images: pa.Table) -> list[Shard]:
    """Those of the group's shards that are not finished, with what they lack."""
    places = images["shard"].to_numpy()
    manifests = segments.manifests(storage, parameters.split)
    found = []
    for number in sorted(numbers):
        start, end = np.searchsorted(places, [number, number + 1]).tolist()
        shard = unfinished(
            storage, parameters, number, images.slice(start, end - start), manifests.get(number, frozenset())
        )
        if shard is not None:
            found.append(shard)
    return found


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


def _crawled(crawling: Coroutine[None, None, None]) -> None:
    """Run the crawl; what it fails of is raised by itself."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(crawling)
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None


def _places(storage: Storage, parameters: Parameters) -> Iterator[tuple[str, int]]:
    """Every host key of the plan with every shard that has images of it, some of them more than once."""
    for batch in tables.read_batches(storage, _images(parameters), ["host_key", "shard"], _ROWS):
        places = pa.Table.from_batches([batch]).group_by(batch.schema.names, use_threads=False).aggregate([])
        yield from zip(places["host_key"].to_pylist(), places["shard"].to_pylist(), strict=True)


def _rates(places: Iterable[tuple[str, int]], numbers: set[int], rate: float, tasks: int) -> Rates:
    """What this task, one of ``tasks``, may ask of each host key, so that all of them together keep to ``rate``.

    A key that lives in k shards of which j are ours has j/k of the rate, whoever runs the others, and when. A redirect
    may lead any task to any key, so a little of it is kept for those that have none of its shards.
    """
    living: dict[str, set[int]] = {}
    for key, shard in places:
        living.setdefault(key, set()).add(shard)
    foreign = FOREIGN_SHARE if tasks > 1 else 0.0
    planned = {
        key: rate * ((1 - foreign) * len(shards & numbers) / len(shards) or foreign / (tasks - 1))
        for key, shards in living.items()
    }
    return Rates(planned, rate / tasks)


async def _crawl(storage: Storage, parameters: Parameters, rates: Rates, shards: list[Shard], images: int) -> None:
    """Ask for what the ``shards`` want, and in an archive for what is lost; their group has so many ``images``."""
    crawled = Crawled()
    stop = _told_to_stop()
    for shard in shards:
        if not len(shard.wanted):
            await close(shard)
    left = {shard.number: len(shard.wanted) for shard in shards}
    home = {shard.number: shard for shard in shards}
    total = sum(len(shard.images) for shard in shards)
    hosts = hosts_of(shards, parameters.retry_transient_after)
    left_of = {host.key: len(host.requests) for host in hosts}
    called = task_name("download", parameters.split, parameters.group)
    with track(called, total, "images") as progress:
        _count_known(progress, shards)

        async def on_result(request: Request, answer: Answer, attempts: int) -> None:
            shard = home[request.shard]
            _note(crawled, request.key, answer, request.stubborn)
            try:
                await store(storage, parameters, shard, request, answer, attempts)
            finally:
                client.stored(answer)
            left[shard.number] -= 1
            left_of[request.key] -= 1
            if not left[shard.number]:
                await close(shard)
            progress.advance(outcome=str(answer.outcome))

        obey = parameters.robots == "obey"
        policy = CrawlPolicy(parameters.attempts, parameters.connections_per_host, parameters.connections)
        allowed, limits = networks(parameters.allow_network), _limits(parameters, obey)
        async with fetcher(allowed, limits, parameters.introduction, parameters.connections) as client:
            paces, weather = Paces(rates.planned, rates.other), Weather(parameters.outage_patience)
            shared = Shared(client, on_result, policy, paces, weather, obey)

            async def ask() -> None:
                await crawl(hosts, shared)
                _judge(parameters, crawled, images - crawled.asked.total())
                await look_for_lost(storage, parameters, shards, Archive(client, paces, policy, obey), left_of)

            work = asyncio.ensure_future(ask())
            stopping = asyncio.ensure_future(stop.wait())
            sealing = asyncio.ensure_future(seal_now_and_then(storage, shards))
            telling = asyncio.ensure_future(tell_of_tail(called, left_of, paces))
            tasks: set[asyncio.Future[Any]] = {work, stopping, sealing, telling}
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


def _limits(parameters: Parameters, obey: bool) -> Limits:
    p = parameters
    return Limits(p.timeout, p.connect_timeout, p.max_bytes, p.max_redirects, obey)


def _count_known(progress: Progress, shards: list[Shard]) -> None:
    known = sum(len(shard.images) - len(shard.wanted) for shard in shards)
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
