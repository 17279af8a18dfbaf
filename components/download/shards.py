"""A shard while it is worked: what it still lacks, what is stored of it, and its marker when all is there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, ParamSpec

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.download import archive
from components.download.answers import Answer
from components.download.known import Known, known
from components.download.ours import cause, to_be_asked, worth_asking
from components.download.parameters import Parameters
from components.download.shared import Request
from fec import identity, layout, segments
from fec.done import Done, finished, write_done
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome, Kind
from fec.segments import SegmentWriter, Tried
from fec.storage import Storage

# With a remote root the machine's disk goes with the pod, so a segment is put at least this often, in seconds.
REMOTE_SEAL_SECONDS: Final = 60.0
# Rows that are Python objects at a time.
_ROWS: Final = 1024
# One thread for all that takes long: each keeps memory to itself that tables were made in.
_WRITING: Final = ThreadPoolExecutor(1, "writing")
# Bytes that are hashed and written in less time than a thread takes to be handed them.
_SMALL: Final = 1 << 20

P = ParamSpec("P")


@dataclass
class Shard:
    """One shard while it is worked. Columns, no Python objects: a shard may be all of a list.

    ``images`` are its ``PlannedImage`` rows, sorted by id; ``known`` what was known of each as the work began, and
    ``wanted`` the rows of those that are asked for; ``good`` the host keys that gave a picture before.
    """

    number: int
    images: pa.Table
    fingerprint: str
    known: Known
    wanted: NDArray[np.int32]
    good: frozenset[str] = frozenset()
    writer: SegmentWriter | None = None
    sealed_at: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def ids(self) -> segments.Ids:
        """The ids of its images, made anew."""
        return segments.sorted_ids(self.images["image_id"])


def unfinished(
    storage: Storage, parameters: Parameters, number: int, images: pa.Table, manifests: frozenset[str]
) -> Shard | None:
    """The shard with what it lacks, or None if its marker says that there is nothing to do now.

    ``manifests`` are the names of those there are: one that the marker does not know was put by a task that was
    started twice, and is taken in.
    """
    directory = layout.images_dir(parameters.split, number)
    fingerprint = identity.fingerprint_with(parameters.settings, "images", _named(images))
    done = finished(storage, directory, fingerprint)
    if done is not None and not _has_more(done, parameters) and manifests <= done.details.get("manifests", {}).keys():
        return None
    with SegmentWriter(storage, parameters.split, number) as writer:
        writer.seal()  # what a killed predecessor had added
    segments.adopt_orphans(storage, parameters.split, number, lambda: dict(_named(images)))
    stored = known(storage, parameters.split, number, segments.sorted_ids(images["image_id"]))
    kept = stored.those(lambda look: not to_be_asked(ImageOutcome(look.outcome), look.cause or None, parameters))
    fetched = stored.those(lambda look: look.outcome == ImageOutcome.FETCHED)
    good = images["host_key"].filter(pa.array(fetched)).unique().to_pylist()
    return Shard(number, images, fingerprint, stored, np.flatnonzero(~kept).astype(np.int32), frozenset(good))


def _named(images: pa.Table) -> Iterator[tuple[str, str]]:
    """Id and URL of each."""
    for batch in images.to_batches(max_chunksize=_ROWS):
        yield from zip(batch["image_id"].to_pylist(), batch["url"].to_pylist(), strict=True)


def due(done: Done, parameters: Parameters) -> datetime:
    """When a finished shard's passing failures are tried again; at once where its clock was wrong."""
    tried_at = datetime.fromisoformat(done.details["tried_at"])
    return min(tried_at, datetime.now(UTC)) + timedelta(seconds=parameters.retry_transient_after)


def outcomes(done: Done) -> list[tuple[ImageOutcome, str | None, int]]:
    """Outcome, cause and number of a finished shard's images; markers of before causes were kept have none."""
    named = [(ImageOutcome(outcome), came_of, count) for outcome, came_of, count in done.details.get("ours", [])]
    rest = Counter({ImageOutcome(name): count for name, count in done.counts.items() if name in set(ImageOutcome)})
    for outcome, _, count in named:
        rest[outcome] -= count
    return named + [(outcome, None, count) for outcome, count in rest.items() if count > 0]


def _has_more(done: Done, parameters: Parameters) -> bool:
    def passed() -> bool:
        now = datetime.now(UTC)
        return now >= due(done, parameters) or datetime.fromisoformat(done.details["tried_at"]) > now

    if (done.counts.get("transient", 0) and passed()) or archive.has_more(done, parameters, passed):
        return True
    return any(worth_asking(outcome, came_of, parameters) for outcome, came_of, _ in outcomes(done))


def writer_of(storage: Storage, split: str, shard: Shard) -> SegmentWriter:
    """The shard's writer, opened when first needed."""
    if shard.writer is None:
        shard.writer = SegmentWriter(storage, split, shard.number)
        shard.sealed_at = time.monotonic()
    return shard.writer


async def _in_thread(work: Callable[P, None], *values: P.args, **_: P.kwargs) -> None:
    await asyncio.get_running_loop().run_in_executor(_WRITING, work, *values)


async def store(
    storage: Storage, parameters: Parameters, shard: Shard, request: Request, answer: Answer, attempts: int
) -> None:
    """Keep how an image ended, unless that is known already."""
    before, came_of = shard.known.look(request.row), cause(answer.outcome, parameters)
    if before is not None and (
        (before.outcome, before.host_cause) == (answer.outcome, came_of)
        or segments.precedence(ImageOutcome(before.outcome)) > segments.precedence(answer.outcome)
    ):
        return
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
        came_of,
    )
    await add(storage, parameters, shard, tried, answer)


async def add(storage: Storage, parameters: Parameters, shard: Shard, tried: Tried, answer: Answer) -> None:
    """Keep a row, and the picture that ``answer`` brought, if it did."""
    async with shard.lock:
        writer = writer_of(storage, parameters.split, shard)
        length = len(answer.data or b"")
        if length > _SMALL or writer.would_fill(length):
            await _in_thread(writer.add, tried, answer.data, answer.extension or "bin")
        else:
            writer.add(tried, answer.data, answer.extension or "bin")


async def seal_now_and_then(storage: Storage, shards: Sequence[Shard]) -> None:
    """Put what was fetched, again and again, where the machine's disk may go at any time."""
    while True:
        await asyncio.sleep(REMOTE_SEAL_SECONDS / 4)
        for shard in shards:
            if not storage.local and time.monotonic() - shard.sealed_at > REMOTE_SEAL_SECONDS:
                async with shard.lock:
                    if shard.writer is not None:
                        await _in_thread(shard.writer.seal)
                        shard.sealed_at = time.monotonic()


async def close(shard: Shard) -> None:
    """Seal what a shard still holds, and let go of its files."""
    async with shard.lock:
        if shard.writer is not None:
            try:
                await _in_thread(shard.writer.seal)
            finally:
                shard.writer.close()
                shard.writer = None


async def close_all(shards: Sequence[Shard]) -> None:
    """Close each, also if another could not be sealed."""
    closed = await asyncio.gather(*map(close, shards), return_exceptions=True)
    for error in closed:
        if isinstance(error, BaseException):
            raise error


def finish(storage: Storage, parameters: Parameters, shard: Shard) -> None:
    """Mark the shard finished: every image has an outcome."""
    directory = layout.images_dir(parameters.split, shard.number)
    stored = known(storage, parameters.split, shard.number, shard.ids, digests=True)
    looks = stored.counts()
    kinds: Counter[tuple[ImageOutcome, str | None]] = Counter()
    counts: Counter[str] = Counter()
    for look, number in looks.items():
        kinds[ImageOutcome(look.outcome), look.cause or None] += number
        counts[look.outcome] += number
    if kinds.total() != len(shard.images):
        raise RunFailed(f"{directory}: {len(shard.images) - kinds.total():,} images have no outcome there; run again")
    asked_archive = {look: number for look, number in looks.items() if look.archive}
    ours = sorted([str(o), came_of, n] for (o, came_of), n in kinds.items() if o.kind is Kind.OURS and came_of)
    storage.remove_workspace(directory)
    write_done(
        storage,
        directory,
        Done(
            "download",
            shard.fingerprint,
            segments.originals_digest(_originals(shard.images["image_id"], stored)),
            {
                "images": kinds.total(),
                "transient": sum(n for (o, _), n in kinds.items() if o.transient),
                **counts,
                **archive.counts(asked_archive),
            },
            {
                "tried_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "ours": ours,
                **archive.details(asked_archive),
                "manifests": dict(stored.manifests),
            },
        ),
    )


def _originals(ids: pa.ChunkedArray, stored: Known) -> Iterator[tuple[str, ImageOutcome, str | None]]:
    """Id, outcome and digest of every image of a shard, by id, of each of which something is known."""
    outcomes = [ImageOutcome(look.outcome) for look in stored.looks]
    named = (image_id for chunk in ids.chunks for image_id in _pieces(chunk))
    for image_id, which, sha256 in zip(named, stored.which, stored.sha256(), strict=True):
        yield image_id, outcomes[which], sha256


def _pieces(column: pa.Array) -> Iterator[str]:
    for start in range(0, len(column), _ROWS):
        yield from column.slice(start, _ROWS).to_pylist()
