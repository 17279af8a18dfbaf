"""The shards of a group: what each still lacks, the crawl that gets it, and the marker when it is there."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from components.download.addresses import networks
from components.download.crawl import Host, Manners, Request, crawl
from components.download.fetch import Answer, Limits, fetcher
from components.download.formats import image_extension
from components.download.parameters import Parameters
from fec import identity, layout, segments, tables
from fec.done import Done, finished, read_done, write_done
from fec.errors import RunFailed
from fec.layout import Group
from fec.outcomes import ImageOutcome
from fec.progress import Progress, event, task_name, track
from fec.rows import StoredElsewhere
from fec.segments import SegmentWriter, StoredImage, Tried
from fec.storage import Storage, open_storage

# With a remote root the machine's disk goes with the pod, so a segment is put at least this often, in seconds.
REMOTE_SEAL_SECONDS: Final = 60.0
# Bytes that are hashed and written in less time than a thread takes to be handed them.
_SMALL: Final = 256 << 10
# Each open shard is two files, each connection one.
_OPEN_FILES: Final = 65_536


@dataclass
class Shard:
    """One shard while it is worked: what is wanted, what is known, what is still to come."""

    number: int
    urls: Mapping[str, str]
    fingerprint: str
    known: dict[str, StoredImage]
    wanted: set[str]
    writer: SegmentWriter | None = None
    sealed_at: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def download(parameters: Parameters) -> None:
    """Work all shards of the group together, so that every host has one queue."""
    _allow_open_files()
    storage = open_storage(parameters.root)
    plan = read_done(storage, layout.plan_dir(parameters.split))
    if plan is None:
        raise RunFailed(f"{storage.root} has no finished plan of {parameters.split}: run the plan step first")
    group = Group.parse(parameters.group)
    numbers = set(group.of(int(plan.details["num_shards"])))
    images = tables.read_table(storage, f"{layout.plan_dir(parameters.split)}/images.parquet")
    hosts = _hosts(images, numbers, parameters.requests_per_second)
    mine = images.filter(pc.is_in(images["shard"], value_set=_int32(numbers)))
    urls: dict[int, dict[str, str]] = {number: {} for number in sorted(numbers)}
    for image_id, url, number in zip(*(mine[name].to_pylist() for name in ("image_id", "url", "shard")), strict=True):
        urls[number][image_id] = url
    postponed = Postponed()
    found = [_unfinished(storage, parameters, number, wanted, postponed) for number, wanted in urls.items()]
    shards = [shard for shard in found if shard is not None]
    if postponed.until is not None:
        event(
            "transient_left",
            f"{postponed.images:,} images of {parameters.split} failed for transient causes; a run after "
            f"{postponed.until:%Y-%m-%d %H:%M} UTC tries them again, one with --retry-transient-after 0 at once",
            images=postponed.images,
        )
    if not shards:
        return
    _adopt_from_earlier_plans(storage, parameters.split, shards)
    crawled = _crawled(_crawl(storage, parameters, hosts, shards))
    _judge(parameters, crawled, len(mine) - sum(crawled.asked.values()))
    for shard in shards:
        _finish(storage, parameters, shard)


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


def _allow_open_files() -> None:
    """As many open files as the machine lets this process have without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _int32(numbers: set[int]) -> pa.Array:
    return pa.array(sorted(numbers), type=pa.int32())


def _hosts(images: pa.Table, numbers: set[int], rate: float) -> list[tuple[str, float, set[str]]]:
    """The host keys of these shards, lowest shard first: key, this task's share of the rate, image ids.

    A key that lives in k shards of which j are ours has j/k of the rate, whoever runs the others, and when.
    """
    living: dict[str, set[int]] = {}
    places = images.select(["host_key", "shard"]).group_by(["host_key", "shard"]).aggregate([])
    for key, shard in zip(places["host_key"].to_pylist(), places["shard"].to_pylist(), strict=True):
        living.setdefault(key, set()).add(shard)
    ids: dict[str, set[str]] = {}
    mine = images.filter(pc.is_in(images["shard"], value_set=_int32(numbers)))
    for key, image_id in zip(mine["host_key"].to_pylist(), mine["image_id"].to_pylist(), strict=True):
        ids.setdefault(key, set()).add(image_id)
    return [
        (key, rate * len(living[key] & numbers) / len(living[key]), ids[key])
        for key in sorted(ids, key=lambda key: (min(living[key] & numbers), key))
    ]


@dataclass
class Postponed:
    """Transient failures of finished shards that it is too early to try again."""

    images: int = 0
    until: datetime | None = None


def _unfinished(
    storage: Storage, parameters: Parameters, number: int, urls: dict[str, str], postponed: Postponed
) -> Shard | None:
    """The shard with what it lacks, or None if its marker says that there is nothing to do now."""
    directory = layout.images_dir(parameters.split, number)
    fingerprint = identity.fingerprint({"images": sorted(urls.items()), **parameters.settings})
    done = finished(storage, directory, fingerprint)
    if done is not None:
        transient = done.counts.get("transient", 0)
        if not transient:
            return None
        due = datetime.fromisoformat(done.details["tried_at"]) + timedelta(seconds=parameters.retry_transient_after)
        if datetime.now(UTC) < due:
            postponed.images += transient
            postponed.until = max(due, postponed.until or due)
            return None
    with SegmentWriter(storage, parameters.split, number) as writer:
        writer.seal()  # what a killed predecessor had added
    segments.adopt_orphans(storage, parameters.split, number, urls)
    known = {
        image_id: image
        for image_id, image in segments.stored_images(storage, parameters.split, number).items()
        if image_id in urls
    }
    wanted = {image_id for image_id in urls if image_id not in known or known[image_id].outcome.transient}
    return Shard(number, urls, fingerprint, known, wanted)


def _adopt_from_earlier_plans(storage: Storage, split: str, shards: list[Shard]) -> None:
    """Take over what an earlier plan of this root stored elsewhere, instead of asking its host again."""
    path = f"{layout.plan_dir(split)}/stored.parquet"
    if storage.size(path) is None:
        return
    home = {image_id: shard for shard in shards for image_id in shard.wanted}
    elsewhere: dict[tuple[str, int], set[str]] = {}
    for row in tables.read_rows(storage, path, StoredElsewhere):
        shard = home.get(row.image_id)
        if shard is not None and (row.split, row.shard) != (split, shard.number):
            elsewhere.setdefault((row.split, row.shard), set()).add(row.image_id)
    for (other_split, other), ids in sorted(elsewhere.items()):
        try:
            stored = segments.stored_images(storage, other_split, other)
        except RunFailed as spoiled:
            event("spoiled", f"{spoiled}; fetching them again", severity="WARNING")
            continue
        for image_id in sorted(ids & stored.keys(), key=lambda i: (stored[i].segment, stored[i].offset or 0)):
            image, shard = stored[image_id], home[image_id]
            if image.outcome.transient or image_id not in shard.wanted:
                continue
            data, extension = None, ""
            if image.outcome is ImageOutcome.FETCHED:
                try:
                    data = segments.read_original(storage, other_split, other, image)
                except RunFailed as spoiled:
                    event("spoiled", f"{spoiled}; fetching it again", severity="WARNING")
                    continue
                extension = image_extension(data) or "bin"
            _writer(storage, split, shard).add(image.tried, data, extension)
            shard.wanted.discard(image_id)


def _writer(storage: Storage, split: str, shard: Shard) -> SegmentWriter:
    """The shard's writer, opened when first needed."""
    if shard.writer is None:
        shard.writer = SegmentWriter(storage, split, shard.number)
        shard.sealed_at = time.monotonic()
    return shard.writer


async def _crawl(
    storage: Storage,
    parameters: Parameters,
    hosts: list[tuple[str, float, set[str]]],
    shards: list[Shard],
) -> Crawled:
    crawled = Crawled()
    stop = _told_to_stop()
    key_of = {image_id: key for key, _, ids in hosts for image_id in ids}
    for shard in shards:
        if not shard.wanted:
            await _close(shard)
    left = {shard.number: len(shard.wanted) for shard in shards}
    home = {image_id: shard for shard in shards for image_id in shard.wanted}
    total = sum(len(shard.urls) for shard in shards)
    with track(task_name("download", parameters.split, parameters.group), total, "images") as progress:
        _count_known(progress, shards)

        async def ended(request: Request, answer: Answer, attempts: int) -> None:
            shard = home[request.image_id]
            before = shard.known.get(request.image_id)
            _note(crawled, key_of[request.image_id], answer, before, parameters.retry_transient_after)
            try:
                if before is None or before.outcome is not answer.outcome:  # else nothing new to say
                    await _store(storage, parameters.split, shard, request, answer, attempts)
            finally:
                client.stored(answer)
            left[shard.number] -= 1
            if not left[shard.number]:
                await _close(shard)
            progress.advance(outcome=str(answer.outcome))

        limits = Limits(parameters.timeout, parameters.connect_timeout, parameters.max_bytes, parameters.max_redirects)
        manners = Manners(parameters.attempts, parameters.connections_per_host, parameters.connections)
        queues = (
            Host(key, rate, [Request(i, home[i].urls[i], home[i].number) for i in sorted(ids & home.keys())])
            for key, rate, ids in hosts
            if ids & home.keys()
        )
        allowed = networks(parameters.allow_network)
        async with fetcher(allowed, limits, parameters.user_agent, parameters.connections) as client:
            work = asyncio.ensure_future(crawl(queues, client.fetch, ended, manners))
            stopping = asyncio.ensure_future(stop.wait())
            sealing = asyncio.ensure_future(_seal_now_and_then(storage, shards))
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
                await _close_all(shards)
    return crawled


def _count_known(progress: Progress, shards: list[Shard]) -> None:
    known = sum(len(shard.urls) - len(shard.wanted) for shard in shards)
    if known:
        progress.advance(known, outcome="known")


def _note(crawled: Crawled, key: str, answer: Answer, before: StoredImage | None, stubborn_after: float) -> None:
    crawled.asked[key] += 1
    if answer.answered:
        crawled.answering.add(key)
    if answer.outcome.transient:
        crawled.transient[key] += 1
        crawled.last[key] = answer
        if before is not None and datetime.now(UTC) - before.finished_at >= timedelta(seconds=stubborn_after):
            crawled.stubborn[key] += 1


async def _store(storage: Storage, split: str, shard: Shard, request: Request, answer: Answer, attempts: int) -> None:
    at = datetime.now(UTC)
    tried = Tried(
        request.image_id,
        request.url,
        answer.outcome,
        answer.detail,
        attempts,
        at.replace(microsecond=at.microsecond // 1000 * 1000),
        answer.http_status,
        answer.final_url if answer.final_url != request.url else None,
        answer.headers,
    )
    async with shard.lock:
        writer = _writer(storage, split, shard)
        length = len(answer.data or b"")
        if length > _SMALL or writer.would_fill(length):
            await asyncio.to_thread(writer.add, tried, answer.data, answer.extension or "bin")
        else:
            writer.add(tried, answer.data, answer.extension or "bin")


async def _seal_now_and_then(storage: Storage, shards: list[Shard]) -> None:
    """Put what was fetched, again and again, where the machine's disk may go at any time."""
    while True:
        await asyncio.sleep(REMOTE_SEAL_SECONDS / 4)
        for shard in shards:
            if not storage.local and time.monotonic() - shard.sealed_at > REMOTE_SEAL_SECONDS:
                async with shard.lock:
                    if shard.writer is not None:
                        await asyncio.to_thread(shard.writer.seal)
                        shard.sealed_at = time.monotonic()


async def _close(shard: Shard) -> None:
    """Seal what a shard still holds, and let go of its files."""
    async with shard.lock:
        if shard.writer is not None:
            try:
                await asyncio.to_thread(shard.writer.seal)
            finally:
                shard.writer.close()
                shard.writer = None


async def _close_all(shards: list[Shard]) -> None:
    """Close each, also if another could not be sealed."""
    closed = await asyncio.gather(*map(_close, shards), return_exceptions=True)
    for error in closed:
        if isinstance(error, BaseException):
            raise error


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


def _finish(storage: Storage, parameters: Parameters, shard: Shard) -> None:
    directory = layout.images_dir(parameters.split, shard.number)
    stored = segments.stored_images(storage, parameters.split, shard.number)
    images = [stored[image_id] for image_id in sorted(shard.urls)]
    counts = Counter(str(image.outcome) for image in images)
    digest = segments.originals_digest((image.image_id, image.outcome, image.sha256) for image in images)
    transient = sum(image.outcome.transient for image in images)
    storage.remove_workspace(directory)
    write_done(
        storage,
        directory,
        Done(
            "download",
            shard.fingerprint,
            digest,
            {"images": len(images), "transient": transient, **counts},
            {
                "tried_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "manifests": segments.manifest_digests(storage, parameters.split, shard.number),
            },
        ),
    )


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM (a node is taken away), so that what was fetched is sealed in time."""
    stop = asyncio.Event()
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, or no signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop
