"""After a crawl: pictures that their hosts have no more are looked for in a web archive, at a rate of its own.

The archive is a host as any other: its robots.txt, its rests, its failures in a row and its redirects are treated by
the same rules. What it answers decides nothing but whether there is a picture after all.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, overload

import numpy as np
import pyarrow as pa

from components.download.answers import Answer, short
from components.download.crawl import crawl
from components.download.fetch import Fetcher, Hop
from components.download.known import known
from components.download.ours import cause
from components.download.pace import LONGEST_REST, Paces
from components.download.parameters import Parameters
from components.download.shards import Shard, add
from components.download.shared import Client, CrawlPolicy, Host, Request, Shared
from components.download.template import address
from components.download.urls import askable
from components.download.weather import Weather, is_good
from fec import segments, tables
from fec.hosts import host_key
from fec.outcomes import ImageOutcome
from fec.progress import event, task_name, track
from fec.row_types import from_values, names
from fec.rows import Tried
from fec.storage import Storage

# Seconds of rest after a 429 that names none: the Wayback Machine bars an address for an hour that goes on for more
# than a minute after one (docs/hosts.md).
REST: Final = 60.0


@dataclass(frozen=True)
class Archive:
    """What an archive is asked with: the crawl's client, paces and policy."""

    client: Fetcher
    paces: Paces
    policy: CrawlPolicy
    obey_robots: bool


async def look_for_lost(
    storage: Storage,
    parameters: Parameters,
    shards: Sequence[Shard],
    asked: Archive,
    left_of: MutableMapping[str, int],
) -> None:
    """Look for what the hosts of ``shards``, whose crawl is over, have no more; nothing without ``archive``.

    An archive in trouble leaves images to a later run, and fails nothing. ``left_of`` counts down what is left to be
    asked for, by host key.
    """
    if not parameters.archive:
        return
    lost = {shard.number: _lost(storage, parameters, shard) for shard in shards}
    requests = Lookups(lost, parameters.archive)
    if not requests:
        return
    home = {shard.number: shard for shard in shards}
    key = host_key(parameters.archive)
    left_of[key] = len(requests)
    left_to_later: list[str] = []
    with track(task_name("archive", parameters.split, parameters.group), len(requests), "images") as progress:

        async def on_result(request: Request, answer: Answer, attempts: int) -> None:
            try:
                if answer.outcome.transient:
                    left_to_later.append(answer.detail)
                before = requests.row(request)
                tried = _looked_for(before, parameters, request, answer, attempts)
                if answer.outcome is not ImageOutcome.NOT_ASKED and _known(tried) != _known(before):
                    await add(storage, parameters, home[request.shard], tried, answer)
            finally:
                asked.client.stored(answer)
            left_of[key] -= 1
            progress.advance(outcome=str(answer.outcome))

        client = _Resting(asked.client)
        weather = _FairWeather(parameters.outage_patience)
        shared = Shared(client, on_result, asked.policy, asked.paces, weather, asked.obey_robots, LONGEST_REST)
        await crawl([Host(key, requests)], shared)
    if left_to_later:
        event(
            "archive_left",
            f"{len(left_to_later):,} images of {parameters.split} are still to be looked for in the archive at {key} "
            f"({left_to_later[-1]}): by running again, after {parameters.retry_transient_after:.0f} s",
            severity="WARNING",
            images=len(left_to_later),
        )


def _lost(storage: Storage, parameters: Parameters, shard: Shard) -> pa.Table:
    """What is known of the shard's images that are to be looked for, as a table of Tried."""
    ids = shard.ids
    stored = known(storage, parameters.split, shard.number, ids)
    due = stored.those(lambda look: look.is_due(parameters))
    found = [tables.schema(Tried).empty_table()]
    for told in segments.told(storage, parameters.split, shard.number, names(Tried), ids):
        counts = due[told.places] & (stored.segment[told.places] == told.segment)
        found.append(told.rows.filter(pa.array(counts)))
    return pa.concat_tables(found)


class Lookups(Sequence[Request]):
    """A request for each row of the tables of Tried ``lost``, by shard, in an order of its own; made when looked at."""

    def __init__(self, lost: dict[int, pa.Table], template: str) -> None:
        self._lost, self._template, self._key = lost, template, host_key(template)
        places = [np.empty((0, 2), np.int64)]
        for number, rows in lost.items():
            places.append(np.stack([np.full(len(rows), number), np.arange(len(rows))], axis=1))
        self._places = np.random.default_rng().permutation(np.concatenate(places))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        shard, row = self._places[index].tolist()
        image_id, url = (self._lost[shard][name][row].as_py() for name in ("image_id", "url"))
        return Request(image_id, address(self._template, askable(url).url), shard, key=self._key, row=row)

    def row(self, request: Request) -> Tried:
        """What was known of the image that a request is for."""
        return from_values(Tried, self._lost[request.shard].slice(request.row, 1).to_pylist()[0])


def _looked_for(before: Tried, parameters: Parameters, request: Request, answer: Answer, attempts: int) -> Tried:
    """The row of an image after its look in the archive: its host's, unless the archive has the picture."""
    at = datetime.now(UTC)
    looked = replace(
        before,
        finished_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        cause=cause(answer.outcome, parameters),
        archive=parameters.archive,
        archive_outcome=str(answer.outcome),
        archive_detail=answer.detail,
    )
    if answer.outcome is not ImageOutcome.FETCHED:
        return looked
    return replace(
        looked,
        outcome=ImageOutcome.FETCHED,
        detail=short(f"from a web archive; its host: {before.outcome}, {before.detail}"),
        attempts=attempts,
        http_status=answer.http_status,
        final_url=answer.final_url or request.url,
        headers=answer.headers,
    )


def _known(tried: Tried) -> tuple[str | None, ...]:
    """What of a row says whether its image is looked for again."""
    return tried.archive, tried.archive_outcome, tried.cause


class _Resting:
    """A client by which a 429 is always followed by a rest."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.text = client.text

    async def fetch(self, url: str, hop: Hop) -> Answer:
        answer = await self._client.fetch(url, hop)
        limited = answer.outcome is ImageOutcome.RATE_LIMITED
        return replace(answer, retry_after=REST) if limited and answer.retry_after is None else answer


class _FairWeather(Weather):
    """That of one host: what fails there tells nothing of the network, and ends no run."""

    def saw(self, key: str, answer: Answer, stubborn: bool) -> bool:
        """Take note of an answer, which counts."""
        if is_good(answer):
            self.good.add(key)
            self.good_answers += 1
        return True
