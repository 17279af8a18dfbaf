"""A shard while it is worked: what it still lacks, what is stored of it, and its marker when all is there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from components.download.answers import Answer
from components.download.formats import image_extension
from components.download.ours import cause, to_be_asked, worth_asking
from components.download.parameters import Parameters
from components.download.shared import Request
from fec import identity, layout, segments, tables
from fec.done import Done, finished, write_done
from fec.errors import RunFailed
from fec.outcomes import ImageOutcome, Kind
from fec.progress import event
from fec.rows import StoredElsewhere
from fec.segments import SegmentWriter, StoredImage, Tried
from fec.storage import Storage

# With a remote root the machine's disk goes with the pod, so a segment is put at least this often, in seconds.
REMOTE_SEAL_SECONDS: Final = 60.0
# Bytes that are hashed and written in less time than a thread takes to be handed them.
_SMALL: Final = 1 << 20


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

    def asked_before(self, image_id: str) -> bool:
        """Whether the image itself was ever asked for."""
        return image_id in self.known and self.known[image_id].outcome is not ImageOutcome.NOT_ASKED


def unfinished(storage: Storage, parameters: Parameters, number: int, urls: dict[str, str]) -> Shard | None:
    """The shard with what it lacks, or None if its marker says that there is nothing to do now."""
    directory = layout.images_dir(parameters.split, number)
    fingerprint = identity.fingerprint({"images": sorted(urls.items()), **parameters.settings})
    done = finished(storage, directory, fingerprint)
    if done is not None and not _has_more(done, parameters):
        return None
    with SegmentWriter(storage, parameters.split, number) as writer:
        writer.seal()  # what a killed predecessor had added
    segments.adopt_orphans(storage, parameters.split, number, urls)
    known = {
        image_id: image
        for image_id, image in segments.stored_images(storage, parameters.split, number).items()
        if image_id in urls
    }
    wanted = {image_id for image_id in urls if image_id not in known or to_be_asked(known[image_id], parameters)}
    return Shard(number, urls, fingerprint, known, wanted)


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
    if done.counts.get("transient", 0):
        tried_at = datetime.fromisoformat(done.details["tried_at"])
        now = datetime.now(UTC)
        if now >= due(done, parameters) or tried_at > now:
            return True
    return any(worth_asking(outcome, came_of, parameters) for outcome, came_of, _ in outcomes(done))


def adopt_from_earlier_plans(storage: Storage, parameters: Parameters, shards: Sequence[Shard]) -> None:
    """Take over what an earlier plan of this root stored elsewhere, instead of asking its host again."""
    split = parameters.split
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
            if to_be_asked(image, parameters) or image_id not in shard.wanted:
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
    async with shard.lock:
        writer = _writer(storage, parameters.split, shard)
        length = len(answer.data or b"")
        if length > _SMALL or writer.would_fill(length):
            await asyncio.to_thread(writer.add, tried, answer.data, answer.extension or "bin")
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
                        await asyncio.to_thread(shard.writer.seal)
                        shard.sealed_at = time.monotonic()


async def close(shard: Shard) -> None:
    """Seal what a shard still holds, and let go of its files."""
    async with shard.lock:
        if shard.writer is not None:
            try:
                await asyncio.to_thread(shard.writer.seal)
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
    stored = segments.stored_images(storage, parameters.split, shard.number)
    images = [stored[image_id] for image_id in sorted(shard.urls)]
    counts = Counter(str(image.outcome) for image in images)
    ours = Counter((str(i.outcome), i.cause) for i in images if i.outcome.kind is Kind.OURS and i.cause is not None)
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
                "ours": sorted([outcome, came_of, count] for (outcome, came_of), count in ours.items()),
                "manifests": segments.manifest_digests(storage, parameters.split, shard.number),
            },
        ),
    )
