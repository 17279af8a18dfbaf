"""The rate as the servers see it, and what hosts ask of programs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.download.robots import opts_out
from components.download.step import run
from components.download.work import _rates
from fec.outcomes import ImageOutcome
from tests.components.download.site import HOSTS, Hit, Page, Site, answer, parameters, plan, redirect, stored
from tests.components.download.test_crawl import Host, requests
from tests.components.download.test_crawl import run as crawl_all
from tests.components.download.test_outcomes import picture

FETCHED = ImageOutcome.FETCHED
RATE = 10.0


def most_in_a_second(hits: Sequence[Hit]) -> int:
    times = sorted(hit.at for hit in hits)
    return max(sum(start <= at < start + 1 for at in times) for start in times)


def at_host(site: Site, host: str) -> list[Hit]:
    return [hit for hit in site.log + site.robots if hit.host == host]


def test_refused_redirects_and_chains_keep_to_the_rate(site: Site) -> None:
    for number in range(10):
        site.pages[f"/{number}"] = redirect(f"/step/{number}")
        site.pages[f"/step/{number}"] = redirect(f"/on/{number}") if number % 2 else redirect("ftp://nowhere/")
        site.pages[f"/on/{number}"] = redirect(f"/end/{number}")
    crawl_all([Host(HOSTS[0], RATE, requests(site, HOSTS[0], 10))])
    assert len(site.log) > 25
    assert most_in_a_second(site.log) <= RATE + 2


def test_many_hosts_that_lead_to_one_do_not_ask_it_faster(site: Site) -> None:
    for number in range(10):
        site.pages[f"/{number}"] = redirect(site.url(f"/target/{number}", HOSTS[4]))
    site.default = answer()
    hosts = [Host(host, 200.0, requests(site, host, 10)) for host in HOSTS[:4]]
    results = crawl_all(hosts, other=RATE)
    assert {ended.outcome for ended, _ in results.values()} == {FETCHED}
    assert len(at_host(site, HOSTS[4])) == 40
    assert most_in_a_second(at_host(site, HOSTS[4])) <= RATE + 2


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_all_tasks_together_keep_to_the_rate_of_every_key(tasks: int) -> None:
    rows = [("a", 0), ("b", 1), ("c", 0), ("c", 1), ("c", 2), ("c", 3)]
    rates = [_rates(rows, set(range(index, 4, tasks)), RATE, tasks) for index in range(tasks)]
    for key in ("a", "b", "c"):
        assert 0.9 * RATE <= sum(rate.planned[key] for rate in rates) <= RATE * 1.0001
    assert sum(rate.other for rate in rates) == pytest.approx(RATE)


def test_robots_txt_is_read_once_a_host_and_obeyed(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages[f"{HOSTS[0]}/robots.txt"] = answer(
        b"User-agent: *\nDisallow: /private/\n\nUser-agent: fec-pipeline\nDisallow: /ours/*.jpg$\n",
        Content_Type="text/plain",
    )
    urls = [site.url(path) for path in ("/private/a", "/ours/a.jpg", "/ours/b.png", "/c")]
    plan(tmp_path, [*urls, site.url("/ours/a.jpg", HOSTS[1])])
    run(parameters(tmp_path))
    found = {url: image.outcome for url, image in stored(tmp_path).items()}
    assert [found[url] for url in urls] == [FETCHED, ImageOutcome.ROBOTS_DISALLOWED, FETCHED, FETCHED]
    assert found[site.url("/ours/a.jpg", HOSTS[1])] is FETCHED
    assert sorted(hit.host for hit in site.robots) == [HOSTS[0], HOSTS[1]]
    run(parameters(tmp_path, robots="ignore"))
    assert {image.outcome for image in stored(tmp_path).values()} == {FETCHED}
    assert len(site.robots) == 2


def test_a_redirect_obeys_the_robots_txt_of_where_it_leads(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = redirect(site.url("/b", HOSTS[1]))
    site.pages[f"{HOSTS[1]}/robots.txt"] = answer(b"User-agent: *\nDisallow: /\n")
    plan(tmp_path, [site.url("/a")])
    run(parameters(tmp_path))
    assert [image.outcome for image in stored(tmp_path).values()] == [ImageOutcome.ROBOTS_DISALLOWED]
    assert [hit.path for hit in site.log] == ["/a"]


@pytest.mark.parametrize("page", [answer(b"", "500 Oops"), answer(b"\xff\xfe\0binary"), redirect("/robots.txt")])
def test_a_robots_txt_that_cannot_be_read_forbids_nothing(site: Site, tmp_path: Path, page: Page) -> None:
    site.pages |= {"/robots.txt": page, "/a": answer()}
    plan(tmp_path, [site.url("/a")])
    run(parameters(tmp_path))
    assert [image.outcome for image in stored(tmp_path).values()] == [FETCHED]


def test_a_crawl_delay_is_kept(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages["/robots.txt"] = answer(b"User-agent: *\nCrawl-delay: 0.3\n")
    plan(tmp_path, [site.url(f"/{number}") for number in range(5)])
    run(parameters(tmp_path))
    assert site.log[-1].at - site.log[0].at >= 3 * 0.28


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], False),
        (["noindex, nofollow"], False),
        (["noai"], True),
        (["noindex", "NoImageAI"], True),
        (["otherbot: noai"], False),
        (["otherbot: noindex, noai"], False),
        (["fec-pipeline: noai"], True),
        (["max-image-preview: large, noai"], True),
    ],
)
def test_what_x_robots_tag_says_to_us(tags: list[str], expected: bool) -> None:
    assert opts_out(tags) is expected


def test_we_introduce_ourselves_with_an_address_of_the_users(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a")])
    run(parameters(tmp_path, contact="mailto:me@example.org"))
    agents = {hit.headers["user-agent"] for hit in site.log + site.robots}
    assert len(agents) == 1
    assert agents.pop().startswith("fec-pipeline/1.0 (mailto:me@example.org; ")


def test_a_dead_robots_txt_does_not_hold_up_the_queue(site: Site, tmp_path: Path) -> None:
    async def hangs(hit: Hit, out: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    site.pages["/robots.txt"] = hangs
    site.default = picture
    plan(tmp_path, [site.url("/a")])
    run(parameters(tmp_path, timeout=0.5))
    assert [image.outcome for image in stored(tmp_path).values()] == [FETCHED]
