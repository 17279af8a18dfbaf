"""The order and the pace of requests, seen from the hosts' side."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from components.download import queues, shared
from components.download.addresses import networks
from components.download.answers import Answer, Limits
from components.download.crawl import crawl
from components.download.fetch import fetcher
from components.download.pace import Paces
from components.download.shared import CrawlPolicy, OnResult, Request, Shared
from components.download.weather import Weather
from fec.outcomes import ImageOutcome
from tests.components.download.site import HOSTS, Hit, Page, Site, answer, in_turn, late, raw, redirect

FAST = 2000.0
POLICY = CrawlPolicy(attempts=3, connections_per_host=4, connections=16)
LIMITS = Limits(timeout=3.0, connect_timeout=1.0, max_bytes=1 << 20, max_redirects=3)


def requests(site: Site, host: str, count: int, path: str = "/") -> list[Request]:
    return [Request(f"{host}{path}{number}", site.url(f"{path}{number}", host), 0) for number in range(count)]


@dataclass(frozen=True)
class Host:
    """What is wanted of a key, and its rate."""

    key: str
    rate: float
    requests: Sequence[Request]
    good: bool = False


async def crawled(
    hosts: Sequence[Host],
    on_result: OnResult,
    policy: CrawlPolicy = POLICY,
    limits: Limits = LIMITS,
    obey_robots: bool = False,
    patience: float = 5.0,
    other: float = FAST,
) -> None:
    """Crawl ``hosts``, whose keys are their addresses."""
    rates = {host.key: host.rate for host in hosts}
    async with fetcher(networks(["127.0.0.0/8"]), limits, "tests", policy.connections) as client:
        common = Shared(client, on_result, policy, Paces(rates, other), Weather(patience), obey_robots)
        await crawl([shared.Host(host.key, host.requests, host.good) for host in hosts], common)


def run(hosts: Sequence[Host], policy: CrawlPolicy = POLICY, **more: Any) -> dict[str, tuple[Answer, int]]:
    """How every image ended and after how many attempts, in the order of their ends."""
    results: dict[str, tuple[Answer, int]] = {}

    async def on_result(request: Request, answer: Answer, attempts: int) -> None:
        assert request.image_id not in results
        results[request.image_id] = (answer, attempts)

    asyncio.run(crawled(hosts, on_result, policy, **more))
    assert set(results) == {request.image_id for host in hosts for request in host.requests}
    return results


def outcomes(results: dict[str, tuple[Answer, int]]) -> Counter[ImageOutcome]:
    return Counter(answer.outcome for answer, _ in results.values())


def gaps(hits: Sequence[Hit]) -> list[float]:
    return [after.at - before.at for before, after in pairwise(hits)]


def test_the_rate_of_a_host_is_kept(site: Site) -> None:
    site.default = answer()
    run([Host(HOSTS[0], 20.0, requests(site, HOSTS[0], 30)), Host(HOSTS[1], 80.0, requests(site, HOSTS[1], 30))])
    for host, rate in ((HOSTS[0], 20.0), (HOSTS[1], 80.0)):
        hits = [hit for hit in site.log if hit.host == host]
        took = hits[-1].at - hits[0].at
        assert took >= 0.95 * (len(hits) - 1) / rate


def test_redirects_count_towards_the_rate(site: Site) -> None:
    for number in range(10):
        site.pages[f"/{number}"] = redirect(f"/there/{number}")
        site.pages[f"/there/{number}"] = answer()
    run([Host(HOSTS[0], 20.0, requests(site, HOSTS[0], 10))])
    assert len(site.log) == 20
    assert site.log[-1].at - site.log[0].at >= 0.9 * 18 / 20


def test_a_slow_host_holds_up_nobody(site: Site) -> None:
    site.default = answer()
    for number in range(30):
        site.pages[f"/slow{number}"] = late(1.0, answer())
    started = time.monotonic()
    finished: dict[str, float] = {}
    hosts = [
        Host(HOSTS[0], FAST, requests(site, HOSTS[0], 8, "/slow")),
        Host(HOSTS[1], FAST, requests(site, HOSTS[1], 60)),
    ]

    async def on_result(request: Request, answer: Answer, attempts: int) -> None:
        finished[request.image_id] = time.monotonic() - started

    asyncio.run(crawled(hosts, on_result))
    assert max(at for name, at in finished.items() if name.startswith(HOSTS[1])) < min(
        at for name, at in finished.items() if name.startswith(HOSTS[0])
    )


def test_hosts_that_never_answered_leave_half_of_the_connections_to_the_rest(site: Site) -> None:
    site.default = answer()
    for number in range(4):
        site.pages[f"/hangs{number}"] = late(30, answer())
    silent = [Host(host, FAST, requests(site, host, 2, "/hangs")) for host in HOSTS[:4]]
    # 4 silent hosts with 2 connections each would have all of the 8.
    quick = Host(HOSTS[4], FAST, requests(site, HOSTS[4], 40))
    results = run([quick, *silent], CrawlPolicy(1, 4, 8), limits=Limits(2.0, 1.0, 1 << 20, 1))
    last = [hit.at for hit in site.log if hit.host == HOSTS[4]][-1]
    assert last - site.log[0].at < 1.8
    assert outcomes(results) == {ImageOutcome.FETCHED: 40, ImageOutcome.TIMED_OUT: 8}


def test_no_host_gets_more_connections_than_allowed(site: Site) -> None:
    running, most = 0, 0

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        await answer()(hit, out)

    site.default = page
    run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 20))], CrawlPolicy(3, 3, 16))
    assert most == 3


def test_the_delay_follows_latency_and_no_quick_error_shortens_it(site: Site) -> None:
    for number in range(8):
        site.pages[f"/{number}"] = late(0.4, answer())
    site.default = answer(b"", "404 Not Found")
    run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 16))], CrawlPolicy(3, 8, 16))
    # By the eighth answer the delay is near 0.4 / TARGET_CONCURRENCY, and the 404s that follow keep it.
    assert statistics.median(gaps(site.log[8:])) > 0.1


def test_quick_images_shorten_the_delay_again(site: Site) -> None:
    site.default = answer()
    for number in range(4):
        site.pages[f"/{number}"] = late(0.3, answer())
    run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 40))], CrawlPolicy(3, 8, 16))
    assert statistics.median(gaps(site.log[-10:])) < 0.1


def test_passing_failures_are_tried_again_with_back_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def uniform(low: float, high: float) -> float:
        waits.append(high)
        return high / 10

    monkeypatch.setattr(random, "uniform", uniform)
    site.pages["/0"] = in_turn(answer(b"", "500 Oops"), answer(b"", "503 Busy"), answer())
    results = run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 1))])
    (ended, attempts) = results[f"{HOSTS[0]}/0"]
    assert (ended.outcome, attempts) == (ImageOutcome.FETCHED, 3)
    assert waits == [1.0, 2.0]
    assert gaps(site.log)[0] >= 0.1
    assert gaps(site.log)[1] >= 0.2


def test_final_failures_are_not(site: Site) -> None:
    site.default = answer(b"", "404 Not Found")
    results = run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 5))])
    assert {attempts for _, attempts in results.values()} == {1}
    assert set(site.asked().values()) == {1}


def test_attempts_are_bounded(site: Site, quick: None) -> None:
    site.default = answer(b"", "500 Oops")
    results = run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 3))])
    assert [(ended.outcome, attempts) for ended, attempts in results.values()] == [(ImageOutcome.SERVER_ERROR, 3)] * 3
    assert set(site.asked().values()) == {3}


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_host_that_asks_for_rest_gets_it_and_others_go_on(site: Site, quick: None, status: str) -> None:
    site.default = answer()
    site.pages["/2"] = in_turn(answer(b"", status, Retry_After="1"), answer())
    results = run(
        [
            Host(HOSTS[0], 50.0, requests(site, HOSTS[0], 10)),
            Host(HOSTS[1], 50.0, requests(site, HOSTS[1], 20, "/other")),
        ]
    )
    assert outcomes(results) == {ImageOutcome.FETCHED: 30}
    hits = [hit for hit in site.log if hit.host == HOSTS[0]]
    rest = max(gaps(hits))
    assert rest >= 0.9
    asked_at = max(pairwise(hits), key=lambda pair: pair[1].at - pair[0].at)[0].at
    assert [hit for hit in site.log if hit.host == HOSTS[1] and asked_at < hit.at < asked_at + 0.9]


def test_a_host_that_asks_for_a_day_is_left_to_the_next_run(site: Site) -> None:
    site.default = answer(b"", "429 Too Many Requests", Retry_After="86400")
    started = time.monotonic()
    results = run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 500))])
    assert time.monotonic() - started < 5
    assert outcomes(results).keys() == {ImageOutcome.RATE_LIMITED, ImageOutcome.NOT_ASKED}
    # An outcome for each that was asked, and only for those.
    assert outcomes(results)[ImageOutcome.RATE_LIMITED] == len(site.log) <= POLICY.connections_per_host
    assert "asked for 86400 s of rest" in results[f"{HOSTS[0]}/499"][0].detail


@pytest.mark.parametrize("page", [raw(b"", reset=True), answer(b"", "502 Bad Gateway")], ids=["reset", "502"])
def test_a_host_that_only_fails_is_not_hammered(site: Site, quick: None, page: Page) -> None:
    site.default = page
    results = run([Host(HOSTS[0], FAST, requests(site, HOSTS[0], 500))])
    assert len(results) == 500
    assert all(ended.outcome.transient for ended, _ in results.values())
    # A request is sent once more if a connection it used before turns out to be closed.
    assert len(site.log) <= 2 * (shared.FAILURES_IN_A_ROW + POLICY.connections_per_host)
    assert results[f"{HOSTS[0]}/499"][0].detail == "20 requests in a row failed at its host"
    assert results[f"{HOSTS[0]}/499"][1] == 0


def test_a_hiccup_of_a_few_seconds_does_not_give_a_host_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "BACKOFF_BASE", 0.5)
    site.default = answer()
    started = time.monotonic()

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        if 0.2 < time.monotonic() - started < 2.5:
            out.transport.abort()
            return
        await asyncio.sleep(0.01)
        await answer()(hit, out)

    site.default = page
    results = run([Host(HOSTS[0], 100.0, requests(site, HOSTS[0], 60))], CrawlPolicy(6, 4, 16))
    assert outcomes(results)[ImageOutcome.FETCHED] >= 45
    assert not any(ended.detail.startswith("left to the next run") for ended, _ in results.values())


def test_a_failing_consumer_ends_the_crawl(site: Site) -> None:
    site.default = answer()

    async def on_result(request: Request, answer: Answer, attempts: int) -> None:
        raise OSError("the disk is gone")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(crawled([Host(HOSTS[0], 10.0, requests(site, HOSTS[0], 100))], on_result))
    assert caught.group_contains(OSError, match="the disk is gone")
    assert len(site.log) < 10
