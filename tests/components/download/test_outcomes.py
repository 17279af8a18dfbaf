"""Outcomes that are true: each picture's own, ours told from the hosts', and nothing lost that was never asked for."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.download.step import Parameters, run
from fec import layout
from fec.done import Done, read_done, write_done
from fec.errors import RunFailed
from fec.outcomes import IMAGE_OUTCOMES, ImageOutcome, Kind
from fec.storage import open_storage
from tests.components.download.site import (
    HOSTS,
    JPEG,
    NOT_FOUND,
    Hit,
    Page,
    Site,
    answer,
    in_turn,
    parameters,
    plan,
    raw,
    redirect,
    serve,
    stored,
)

FETCHED = ImageOutcome.FETCHED
PAGE = answer(b"<!doctype html><p>Log in first", Content_Type="text/html")
FORBIDDEN = answer(b"no", "403 Forbidden")


async def picture(hit: Hit, out: asyncio.StreamWriter) -> None:
    """A picture of its own for every path."""
    await answer(JPEG + hit.host.encode() + hit.path.encode())(hit, out)


def after(count: int, first: Page, then: Page) -> Page:
    """``first`` for so many requests in all, ``then`` for the rest."""
    left = [first] * count

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        await (left.pop() if left else then)(hit, out)

    return page


def outcomes(root: Path, num_shards: int = 1) -> Counter[ImageOutcome]:
    return Counter(image.outcome for image in stored(root, num_shards).values())


def urls(site: Site, count: int, host: str = HOSTS[0], path: str = "/") -> list[str]:
    return [site.url(f"{path}{number}", host) for number in range(count)]


def everywhere(site: Site, count: int) -> list[str]:
    return [url for host in HOSTS for url in urls(site, count, host)]


def said(err: str, name: str) -> dict[str, Any]:
    return next(value for value in map(json.loads, err.splitlines()) if value["event"] == name)


def again(asked: Parameters) -> None:
    """Run, whether or not too much failed."""
    try:
        run(asked)
    except RunFailed as error:
        assert "transient causes" in str(error)


def test_every_outcome_is_in_the_table_once_and_in_the_documents() -> None:
    assert set(IMAGE_OUTCOMES) == set(ImageOutcome)
    page = (Path(__file__).parents[3] / "components/download/README.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    written = {cells[1].strip(" `"): cells[2].strip() for cells in rows}
    for outcome, meaning in IMAGE_OUTCOMES.items():
        assert written[outcome] == str(meaning.kind)


@pytest.mark.parametrize(("status", "outcome"), [("404 Not Found", "gone"), ("403 Forbidden", "refused")])
def test_a_retry_after_that_means_nothing_decides_over_nobody_else(
    site: Site, tmp_path: Path, status: str, outcome: str
) -> None:
    site.default = after(1, answer(b"", status, Retry_After="3600"), picture)
    plan(tmp_path, urls(site, 60))
    run(parameters(tmp_path))
    assert outcomes(tmp_path) == {outcome: 1, FETCHED: 59}
    assert len(site.log) == 60


def test_good_pictures_behind_broken_ones_are_fetched(site: Site, tmp_path: Path, quick: None) -> None:
    broken = urls(site, 20, path="/broken/")
    site.pages |= {f"/broken/{number}": answer(b"", "500 Oops") for number in range(20)}
    site.default = picture
    plan(tmp_path, [*broken, *urls(site, 200), *urls(site, 300, HOSTS[1])], num_shards=2)
    for _ in range(3):
        again(parameters(tmp_path, retry_transient_after=0.0))
    assert outcomes(tmp_path, 2)[FETCHED] == 500


def test_dead_servers_of_a_key_and_redirects_to_one_do_not_cost_the_others(
    site: Site, tmp_path: Path, quick: None
) -> None:
    with serve(HOSTS[:1]) as gone:
        port = gone.port
    # Ports of one address are servers of one key, as the names below a domain are.
    dead = [f"http://{HOSTS[0]}:{port + number}/{number}" for number in range(24)]
    site.pages |= {f"/away/{number}": redirect(f"http://{HOSTS[0]}:{port}/{number}") for number in range(24)}
    site.default = picture
    plan(tmp_path, [*dead, *urls(site, 24, path="/away/"), *urls(site, 200)])
    run(parameters(tmp_path, attempts=1))
    found = outcomes(tmp_path)
    assert found[FETCHED] == 200
    assert found[ImageOutcome.CONNECTION_FAILED] + found[ImageOutcome.NOT_ASKED] == 48


@pytest.mark.parametrize("seconds", ["3600", "999999"])
def test_one_pictures_wish_for_rest_leaves_the_others_to_the_next_run(
    site: Site, tmp_path: Path, quick: None, seconds: str
) -> None:
    site.pages["/busy"] = answer(b"", "503 Busy", Retry_After=seconds)
    site.default = picture
    plan(tmp_path, [site.url("/busy"), *urls(site, 100), *urls(site, 100, HOSTS[1])])
    for _ in range(3):
        again(parameters(tmp_path, retry_transient_after=0.0))
    assert outcomes(tmp_path) == {FETCHED: 200, ImageOutcome.SERVER_ERROR: 1}
    assert site.asked().pop("/busy") <= 3


@pytest.mark.parametrize("ban", [FORBIDDEN, PAGE, answer(JPEG + b"the same")], ids=["403", "page", "same body"])
def test_a_host_that_turns_is_left_alone_and_its_refusals_are_ours(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], ban: Page
) -> None:
    banned = after(50, picture, ban)

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        await (banned if hit.host == HOSTS[0] else picture)(hit, out)

    site.default = page
    plan(tmp_path, [*urls(site, 200), *urls(site, 300, HOSTS[1])])
    run(parameters(tmp_path))
    found = outcomes(tmp_path)
    assert len([hit for hit in site.log if hit.host == HOSTS[0]]) <= 50 + 20
    # The first of a row of the same picture cannot be told from any other, nor those that cross it on their way.
    assert 350 <= found[FETCHED] <= 354
    assert found[ImageOutcome.BLOCKED] >= 10
    assert found.keys() == {FETCHED, ImageOutcome.BLOCKED, ImageOutcome.NOT_ASKED}
    assert said(capsys.readouterr().err, "host_left_alone")["host"] == HOSTS[0]
    site.default = picture
    run(parameters(tmp_path, retry_transient_after=0.0, retry=("blocked", "refused")))
    assert outcomes(tmp_path) == {FETCHED: 500}


def test_a_refusal_now_and_then_is_a_pictures_own(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages |= {f"/{number}": FORBIDDEN if number % 2 else PAGE for number in range(0, 60, 3)}
    plan(tmp_path, urls(site, 120))
    run(parameters(tmp_path))
    assert outcomes(tmp_path) == {FETCHED: 100, ImageOutcome.REFUSED: 10, ImageOutcome.NOT_AN_IMAGE: 10}


@pytest.mark.parametrize(
    "page",
    [FORBIDDEN, answer(b"", "407 Proxy Authentication Required"), PAGE, answer(b"", "502 Bad Gateway")],
    ids=["403", "407", "page", "502"],
)
@pytest.mark.parametrize("good", [0, 60])
def test_one_and_the_same_answer_everywhere_is_no_answer(
    site: Site, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str], page: Page, good: int
) -> None:
    site.default = after(good, picture, page)
    plan(tmp_path, everywhere(site, 30), num_shards=5)
    with pytest.raises(RunFailed, match="nearly everything failed at once"):
        run(parameters(tmp_path, outage_patience=0.3))
    assert said(capsys.readouterr().err, "outage")["severity"] == "WARNING"
    found = outcomes(tmp_path, 5)
    assert found[FETCHED] == good
    assert not [outcome for outcome in found if outcome.kind is Kind.FINAL and outcome is not FETCHED]
    assert [read_done(open_storage(str(tmp_path)), layout.images_dir("train", n)) for n in range(5)] == [None] * 5
    site.default = picture
    run(parameters(tmp_path))
    assert outcomes(tmp_path, 5) == {FETCHED: 150}


def test_a_network_that_goes_is_waited_for_and_goes_on(site: Site, tmp_path: Path, quick: None) -> None:
    site.default = after(150, picture, in_turn(*[raw(b"", reset=True)] * 40, picture))
    plan(tmp_path, everywhere(site, 60), num_shards=5)
    run(parameters(tmp_path, outage_patience=30.0, attempts=6))
    assert outcomes(tmp_path, 5) == {FETCHED: 300}


def test_a_network_that_stays_away_fails_the_step_and_loses_nothing(site: Site, tmp_path: Path, quick: None) -> None:
    site.default = after(216, picture, raw(b"", reset=True))
    plan(tmp_path, [url for host in HOSTS[:3] for url in urls(site, 120, host)], num_shards=3)
    with pytest.raises(RunFailed, match=r"nearly everything failed at once \(no connection\)"):
        run(parameters(tmp_path, outage_patience=0.3))
    assert all(outcome is FETCHED or outcome.transient for outcome in outcomes(tmp_path, 3))
    site.default = picture
    run(parameters(tmp_path))
    assert outcomes(tmp_path, 3) == {FETCHED: 360}


@pytest.mark.parametrize(
    ("page", "outcome", "first", "then"),
    [
        (picture, "address_not_allowed", {"allow_network": ()}, {"allow_network": ("127.0.0.0/8",)}),
        (picture, "too_large", {"max_bytes": 100}, {"max_bytes": 5000}),
        (redirect("/there"), "too_many_redirects", {"max_redirects": 0}, {"max_redirects": 1}),
        ([FORBIDDEN, picture], "refused", {}, {"contact": "me@example.org"}),
        ([FORBIDDEN, picture], "refused", {}, {"user_agent": "another"}),
        ([FORBIDDEN, picture], "refused", {}, {"retry": ("refused",)}),
        ([NOT_FOUND, picture], "gone", {}, {"retry": ("gone",)}),
        (answer(JPEG, X_Robots_Tag="noai"), "opted_out", {}, {"robots": "ignore"}),
    ],
    ids=lambda value: str(value) if isinstance(value, str | dict) else "",
)
def test_what_an_option_caused_is_tried_again_when_it_changes_and_not_before(
    site: Site,
    tmp_path: Path,
    page: Any,
    outcome: str,
    first: dict[str, Any],
    then: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.pages |= {"/a": in_turn(*page) if isinstance(page, list) else page, "/there": picture}
    plan(tmp_path, [site.url("/a")])
    run(parameters(tmp_path, **first))
    assert outcomes(tmp_path) == {outcome: 1}
    if ImageOutcome(outcome).kind is Kind.OURS:
        line = said(capsys.readouterr().err, "transient_left")
        assert line["outcomes"] == {outcome: 1}
        assert "--" in line["message"]
    asked = len(site.log)
    run(parameters(tmp_path, **first))
    assert len(site.log) == asked
    run(parameters(tmp_path, **(first | then)))
    assert outcomes(tmp_path) == {FETCHED: 1}


def test_a_smaller_limit_is_no_reason_to_ask_again(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = picture
    plan(tmp_path, [site.url("/a")])
    for most in (100, 50):
        run(parameters(tmp_path, max_bytes=most))
    assert len(site.log) == 1


def test_what_stays_the_same_is_asked_once(site: Site, tmp_path: Path, name_servers: None) -> None:
    site.pages["/a"] = answer(b"??" + JPEG, Content_Encoding="lz5")
    plan(tmp_path, [site.url("/a"), "http://nowhere.invalid/a"])
    again(parameters(tmp_path))
    images = stored(tmp_path)
    assert images[site.url("/a")].outcome is ImageOutcome.UNDECODABLE
    assert images["http://nowhere.invalid/a"].outcome is ImageOutcome.NO_SUCH_HOST
    assert {image.attempts for image in images.values()} == {1}


def test_every_picture_of_a_name_that_is_gone_is_told_so(tmp_path: Path, name_servers: None, quick: None) -> None:
    """It costs nobody a request: the host is not left alone with most of them never asked for."""
    plan(tmp_path, [f"http://nowhere.invalid/{number}" for number in range(30)] + ["http://a.busy.invalid/a"])
    run(parameters(tmp_path, attempts=2, max_transient=1.0))
    assert outcomes(tmp_path) == {ImageOutcome.NO_SUCH_HOST: 30, ImageOutcome.DNS_FAILED: 1}
    assert stored(tmp_path)["http://a.busy.invalid/a"].attempts == 2


def test_the_order_differs_and_what_was_never_asked_comes_first(site: Site, tmp_path: Path) -> None:
    site.default = answer(b"", "500 Oops")
    old = [f"/old/{number}" for number in range(3)]
    new = [f"/new/{number}" for number in range(9)]
    seen = set()
    for name in ("a", "b"):
        root = tmp_path / name
        plan(root, [site.url(path) for path in old])
        again(parameters(root, attempts=1))
        site.log.clear()
        plan(root, [site.url(path) for path in old + new])
        again(parameters(root, attempts=1))
        asked = [hit.path for hit in site.log]
        assert set(asked[:5]) <= set(new)
        seen.add(tuple(asked))
    assert len(seen) > 1


def test_a_marker_from_the_future_does_not_keep_its_images_for_ever(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = in_turn(answer(b"", "500 Oops"), picture)
    site.default = picture
    plan(tmp_path, [*urls(site, 3), site.url("/a")])
    run(parameters(tmp_path, attempts=1))
    storage, directory = open_storage(str(tmp_path)), layout.images_dir("train", 0)
    done = read_done(storage, directory)
    assert done is not None
    future = datetime(2090, 1, 1, tzinfo=UTC).isoformat()
    details = {**done.details, "tried_at": future}
    write_done(storage, directory, Done(done.step, done.fingerprint, done.digest, done.counts, details))
    run(parameters(tmp_path))
    assert outcomes(tmp_path) == {FETCHED: 4}
