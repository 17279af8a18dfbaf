"""What a crawl asks for: every wanted image once, by host key, those never asked for first."""

import numpy as np
import pyarrow as pa
import pytest

from components.download.archive import Look
from components.download.known import NOTHING, Known
from components.download.shards import Shard
from components.download.wanted import hosts_of
from fec.outcomes import ImageOutcome

LOOKS = [Look(str(ImageOutcome.TIMED_OUT)), Look(str(ImageOutcome.NOT_ASKED)), Look(str(ImageOutcome.FETCHED))]
TIMED_OUT, NOT_ASKED, FETCHED = range(3)


def shard(number: int, keys: list[str], which: list[int], good: frozenset[str] = frozenset()) -> Shard:
    """A shard in which all is wanted that was not fetched; every failure of it was long ago."""
    ids = [f"{number}-{row:03}" for row in range(len(keys))]
    urls = [f"http://{key}/{image_id}" for key, image_id in zip(keys, ids, strict=True)]
    parts = [slice(start, start + 7) for start in range(0, len(keys), 7)]  # a plan is read in pieces
    tables = [pa.table({"image_id": ids[p], "url": urls[p], "host_key": pa.array(keys[p])}) for p in parts]
    images = pa.concat_tables(
        table.set_column(2, "host_key", table["host_key"].dictionary_encode()) for table in tables
    ).unify_dictionaries()
    of = np.array(which, np.int32)
    times, segment = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int32)
    known = Known(LOOKS, of, times, segment, np.zeros((0, 32), np.uint8), {})
    return Shard(number, images, "0" * 64, known, np.flatnonzero(of != FETCHED).astype(np.int32), good)


@pytest.fixture
def shards() -> list[Shard]:
    """One key in both shards, and one in each."""
    return [
        shard(3, ["both.test", "one.test"] * 50, [NOTHING] * 100, frozenset({"both.test"})),
        shard(8, ["two.test", "both.test"] * 40, [FETCHED, TIMED_OUT, NOT_ASKED, NOTHING] * 20),
    ]


def test_every_wanted_image_is_asked_for_once_with_its_shard_and_row(shards: list[Shard]) -> None:
    asked = [request for host in hosts_of(shards, 60.0) for request in host.requests]
    found = sorted((request.shard, request.row, request.image_id, request.url, request.key) for request in asked)
    expected = []
    for one in shards:
        for row in one.wanted.tolist():
            image = one.images.slice(row, 1).to_pylist()[0]
            expected.append((one.number, row, image["image_id"], image["url"], image["host_key"]))
    assert found == sorted(expected)


def test_images_never_asked_for_come_first_and_old_failures_are_stubborn(shards: list[Shard]) -> None:
    hosts = {host.key: host for host in hosts_of(shards, 60.0)}
    stubborn = [request.stubborn for request in hosts["both.test"].requests]
    assert stubborn == [False] * 70 + [True] * 20
    assert not any(request.stubborn for request in hosts["one.test"].requests)
    assert [hosts[key].good for key in ("both.test", "one.test", "two.test")] == [True, False, False]


@pytest.mark.parametrize(
    "places", [range(90), range(89, -1, -1), [40, 3, 71, 41, 39, 89, 0]], ids=["on", "back", "any"]
)
def test_a_request_is_the_same_in_whatever_order_it_is_looked_at(shards: list[Shard], places: list[int]) -> None:
    requests = next(host.requests for host in hosts_of(shards, 60.0) if host.key == "both.test")
    whole = list(requests)
    assert [requests[place] for place in places] == [whole[place] for place in places]
    assert (requests[-1], list(requests[5:9])) == (whole[-1], whole[5:9])
    with pytest.raises(IndexError):
        requests[len(whole)]
