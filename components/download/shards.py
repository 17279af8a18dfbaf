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
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.download import archive
from components.download.answers import Answer
from components.download.archive import Look
from components.download.ours import cause, to_be_asked, worth_asking
from components.download.parameters import Parameters
from components.download.shared import Request
from fec import identity, layout, segments, tables
from fec.done import Done, finished, write_done
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome, Kind
from fec.segments import SegmentWriter, Tried
from fec.storage import Storage

# With a remote root the machine's disk goes with the pod, so a segment is put at least this often, in seconds.
REMOTE_SEAL_SECONDS: Final = 60.0
# Rows that are Python objects at a time.
_ROWS: Final = 1024
# Images whose manifests' rows are held at a time.
_AT_ONCE: Final = 8_192
# One thread for all that takes long: each keeps memory to itself that tables were made in.
_WRITING: Final = ThreadPoolExecutor(1, "writing")
# Bytes that are hashed and written in less time than a thread takes to be handed them.
_SMALL: Final = 1 << 20

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an image that is asked for again."""

    outcome: ImageOutcome
    cause: str | None
    finished_at: datetime


@dataclass
class Shard:
    """One shard while it is worked. Python objects only for what is asked for again: a shard may be all of a list.

    ``images`` are its ``PlannedImage`` rows, sorted by id; ``wanted`` the rows of those that are asked for; ``good``
    the host keys that gave a picture before.
    """

    number: int
    images: pa.Table
    fingerprint: str
    known: dict[str, Known]
    wanted: NDArray[np.int64]
    good: frozenset[str] = frozenset()
    writer: SegmentWriter | None = None
    sealed_at: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def wanted_ids(self) -> pa.ChunkedArray:
        """The ids of what is asked for."""
        return self.images["image_id"].take(pa.array(self.wanted))

    def asked_before(self, image_id: str) -> bool:
        """Whether the image itself was ever asked for."""
        return image_id in self.known and self.known[image_id].outcome is not ImageOutcome.NOT_ASKED


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
    columns = ["image_id", "outcome", "cause", "finished_at"]
    known = segments.latest(storage, parameters.split, number, columns, images["image_id"])
    again = _asked_again(known, parameters)
    kept = known.filter(pc.invert(again))
    wanted = np.flatnonzero(~pc.is_in(images["image_id"], kept["image_id"]).to_numpy())
    fetched = known.filter(pc.equal(known["outcome"], str(ImageOutcome.FETCHED)))
    good = images.filter(pc.is_in(images["image_id"], fetched["image_id"]))["host_key"].unique().to_pylist()
    return Shard(number, images, fingerprint, _objects(known.filter(again)), wanted, frozenset(good))


def _named(images: pa.Table) -> Iterator[tuple[str, str]]:
    """Id and URL of each."""
    for batch in images.to_batches(max_chunksize=_ROWS):
        yield from zip(batch["image_id"].to_pylist(), batch["url"].to_pylist(), strict=True)


def _asked_again(known: pa.Table, parameters: Parameters) -> pa.ChunkedArray:
    """Which rows of ``known`` are of images that are asked for again: that follows from outcome and cause."""
    asked = {kind: to_be_asked(*kind, parameters) for kind in _kinds(known)}
    again = [asked[kind] for batch in known.to_batches(max_chunksize=_ROWS) for kind in _kinds_of(batch)]
    return pa.chunked_array([pa.array(again, pa.bool_())])


def _kinds(known: pa.Table) -> Counter[tuple[ImageOutcome, str | None]]:
    """How many rows there are of each outcome and cause."""
    return Counter(kind for batch in known.to_batches(max_chunksize=_ROWS) for kind in _kinds_of(batch))


def _kinds_of(batch: pa.RecordBatch) -> Iterator[tuple[ImageOutcome, str | None]]:
    outcomes, causes = batch["outcome"].to_pylist(), batch["cause"].to_pylist()
    return zip(map(ImageOutcome, outcomes), causes, strict=True)


def _objects(known: pa.Table) -> dict[str, Known]:
    return {
        row["image_id"]: Known(ImageOutcome(row["outcome"]), row["cause"], row["finished_at"])
        for batch in known.to_batches(max_chunksize=_ROWS)
        for row in batch.to_pylist()
    }


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
    before, came_of = shard.known.get(request.image_id), cause(answer.outcome, parameters)
    if before is not None and (
        (before.outcome, before.cause) == (answer.outcome, came_of)
        or segments.precedence(before.outcome) > segments.precedence(answer.outcome)
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
    kinds: Counter[tuple[ImageOutcome, str | None]] = Counter()
    looks: Counter[Look] = Counter()
    digest = segments.originals_digest(_stored(storage, parameters.split, shard, kinds, looks))
    counts: Counter[str] = Counter()
    for (outcome, _), number in kinds.items():
        counts[str(outcome)] += number
    if kinds.total() != len(shard.images):
        raise RunFailed(f"{directory}: {len(shard.images) - kinds.total():,} images have no outcome there; run again")
    ours = sorted([str(o), came_of, n] for (o, came_of), n in kinds.items() if o.kind is Kind.OURS and came_of)
    storage.remove_workspace(directory)
    write_done(
        storage,
        directory,
        Done(
            "download",
            shard.fingerprint,
            digest,
            {
                "images": kinds.total(),
                "transient": sum(n for (o, _), n in kinds.items() if o.transient),
                **counts,
                **archive.counts(looks),
            },
            {
                "tried_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "ours": ours,
                **archive.details(looks),
                "manifests": segments.manifest_digests(storage, parameters.split, shard.number),
            },
        ),
    )


def _stored(
    storage: Storage,
    split: str,
    shard: Shard,
    kinds: Counter[tuple[ImageOutcome, str | None]],
    looks: Counter[Look],
) -> Iterator[tuple[str, ImageOutcome, str | None]]:
    """Id, outcome and digest of every image of the shard, by id; counts their ``kinds`` and the ``looks`` for them in
    an archive. Some at a time."""
    ids, columns = shard.images["image_id"], ["image_id", "cause", "sha256", *archive.COLUMNS]
    for start in range(0, len(ids), _AT_ONCE):
        some = ids.slice(start, _AT_ONCE)
        stored = segments.latest(storage, split, shard.number, columns, some)
        kinds.update(_kinds(stored))
        looks.update(look for look in archive.looks_of(stored) if look.archive)
        for batch in stored.to_batches(max_chunksize=_ROWS):
            values = (batch[name].to_pylist() for name in ("image_id", "outcome", "sha256"))
            for image_id, outcome, sha256 in zip(*values, strict=True):
                yield image_id, ImageOutcome(outcome), sha256
        tables.release_memory()
