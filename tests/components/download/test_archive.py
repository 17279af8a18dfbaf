"""Pictures that their hosts have no more, looked for in a web archive: what is asked of it, and what comes of it."""

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.download import lookups, shared
from components.download.step import Parameters, run
from components.download.template import address
from fec import layout
from fec.done import Done, read_done
from fec.errors import ConfigurationError
from fec.outcomes import ImageOutcome
from fec.segments import StoredImage, read_original
from fec.storage import open_storage
from fec.whole_split import planned_images, tried_images
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
    redirect,
    stored,
)

FETCHED, GONE = ImageOutcome.FETCHED, ImageOutcome.GONE
ARCHIVE = HOSTS[4]
HTML = answer(b"<!doctype html><title>not archived</title>", Content_Type="text/html")
BUSY = answer(b"", "429 Too Many Requests")
ROBOTS = answer(b"User-agent: *\nDisallow: /web\n", Content_Type="text/plain")


@pytest.fixture(autouse=True)
def impatient(quick: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lookups, "REST", 0.01)
    yield


def with_archive(root: Path, site: Site, **more: object) -> Parameters:
    template = f"{site.url('/web/2018id_/', ARCHIVE)}{{url}}"
    return parameters(root, **{"archive": template, "archive_rate": 500.0, "attempts": 1} | more)


def archived(site: Site, path: str, page: Page) -> str:
    """What the archive answers for a picture that its host has no more; the picture's URL."""
    url = site.url(path)
    site.pages[path] = NOT_FOUND
    site.pages[f"{ARCHIVE}/web/2018id_/{url}"] = page
    return url


def asked_of(site: Site, host: str) -> list[Hit]:
    return [hit for hit in site.log if hit.host == host]


def marker(root: Path) -> Done:
    found = read_done(open_storage(str(root)), layout.images_dir("train", 0))
    assert found is not None
    return found


def looked(root: Path) -> dict[str, StoredImage]:
    return {url.rpartition("/")[2]: image for url, image in stored(root).items()}


def test_a_picture_that_is_gone_comes_from_the_archives_nearest_snapshot(site: Site, tmp_path: Path) -> None:
    snapshot = "/web/20170112012313id_/x"
    url = archived(site, "/old", redirect(snapshot))
    site.pages[f"{ARCHIVE}{snapshot}"] = answer(JPEG + b"then")
    plan(tmp_path, [url])
    run(with_archive(tmp_path, site))
    image = stored(tmp_path)[url]
    assert (image.outcome, image.http_status, image.archive_outcome) == (FETCHED, 200, "fetched")
    assert image.final_url == site.url(snapshot, ARCHIVE)
    assert image.archive == with_archive(tmp_path, site).archive
    assert image.detail == "from a web archive; its host: gone, 404 Not Found"
    assert read_original(open_storage(str(tmp_path)), "train", 0, image) == JPEG + b"then"
    assert {name: marker(tmp_path).counts.get(name) for name in ("images", "fetched", "archived", "gone")} == {
        "images": 1,
        "fetched": 1,
        "archived": 1,
        "gone": None,
    }


def test_pictures_of_a_host_whose_name_is_gone_come_from_the_archive(
    site: Site, tmp_path: Path, name_servers: None
) -> None:
    urls = [f"http://photographs.invalid/{number}" for number in range(30)]
    for url in urls[1:]:
        site.pages[f"{ARCHIVE}/web/2018id_/{url}"] = answer(JPEG + url.encode())
    # The archive does not want programs there, which another option may change.
    site.pages[f"{ARCHIVE}/web/2018id_/{urls[0]}"] = answer(b"", "403 Forbidden")
    plan(tmp_path, [*urls, "http://a.busy.invalid/a"])
    run(with_archive(tmp_path, site, max_transient=1.0))
    images = stored(tmp_path)
    assert images[urls[1]].detail == "from a web archive; its host: no_such_host, Name or service not known"
    assert [images[url].outcome for url in urls] == [ImageOutcome.NO_SUCH_HOST] + [FETCHED] * 29
    assert images["http://a.busy.invalid/a"].archive is None
    # The name is looked up again by later runs, and the archive is not asked again.
    asked = len(site.log)
    run(with_archive(tmp_path, site, max_transient=1.0, retry_transient_after=0.0))
    assert (len(site.log), stored(tmp_path)) == (asked, images)


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        (NOT_FOUND, ImageOutcome.GONE),
        (HTML, ImageOutcome.NOT_AN_IMAGE),
        (answer(b"", "403 Forbidden"), ImageOutcome.REFUSED),
        (redirect("/photo_unavailable.png"), ImageOutcome.PLACEHOLDER),
        (answer(X_Robots_Tag="noai"), ImageOutcome.OPTED_OUT),
        (answer(b"", "503 Busy"), ImageOutcome.SERVER_ERROR),
        (BUSY, ImageOutcome.RATE_LIMITED),
    ],
)
def test_what_is_no_picture_leaves_the_hosts_word_as_it_was(
    site: Site, tmp_path: Path, page: Page, outcome: ImageOutcome
) -> None:
    url = archived(site, "/old", page)
    plan(tmp_path, [url])
    run(with_archive(tmp_path, site))
    image = stored(tmp_path)[url]
    assert (image.outcome, image.detail, image.http_status) == (GONE, "404 Not Found", 404)
    assert image.archive_outcome == outcome
    assert marker(tmp_path).counts == {"images": 1, "transient": 0, "gone": 1}


def test_the_tables_of_a_split_say_what_came_from_where(site: Site, tmp_path: Path) -> None:
    plan(tmp_path, [archived(site, "/there", answer()), archived(site, "/not", NOT_FOUND)])
    run(with_archive(tmp_path, site))
    storage = open_storage(str(tmp_path))
    images = planned_images(storage, "train", tried_images(storage)).to_pylist()
    said = {
        row["url"].rpartition("/")[2]: (row["outcome"], row["archive_outcome"], row["http_status"]) for row in images
    }
    assert said == {"there": ("fetched", "fetched", 200), "not": ("gone", "gone", 404)}


def test_only_what_is_lost_for_good_is_looked_for(site: Site, tmp_path: Path) -> None:
    pages = {
        "/kept": answer(),
        "/page": HTML,
        "/later": answer(b"", "500 Oops"),
        "/refused": answer(b"", "403 Forbidden"),
        "/gone": NOT_FOUND,
    }
    site.pages.update(pages)
    plan(tmp_path, [site.url(path) for path in pages])
    run(with_archive(tmp_path, site))
    assert sorted(hit.path.rpartition("/")[2] for hit in asked_of(site, ARCHIVE)) == ["gone", "page"]


def test_a_finished_root_is_looked_through_once_and_its_hosts_are_not_asked_again(site: Site, tmp_path: Path) -> None:
    urls = [archived(site, "/there", answer()), archived(site, "/not", NOT_FOUND), archived(site, "/page", HTML)]
    plan(tmp_path, [*urls, site.url("/good")])
    site.pages["/good"] = answer()
    run(parameters(tmp_path))
    before = marker(tmp_path)
    site.log.clear()
    run(with_archive(tmp_path, site))
    assert {hit.host for hit in site.log} == {ARCHIVE}
    assert len(site.log) == 3
    assert marker(tmp_path).digest != before.digest
    for again in (with_archive(tmp_path, site), parameters(tmp_path)):
        run(again)
    assert len(site.log) == 3
    assert looked(tmp_path)["there"].outcome is FETCHED


def test_another_archive_is_another_question(site: Site, tmp_path: Path) -> None:
    url = archived(site, "/old", NOT_FOUND)
    plan(tmp_path, [url])
    run(with_archive(tmp_path, site))
    site.pages["/copy"] = answer()
    other = with_archive(tmp_path, site, archive=f"{site.url('/copy', HOSTS[3])}?u={{url}}")
    site.pages[f"{HOSTS[3]}/copy?u={url.replace(':', '%3A').replace('/', '%2F')}"] = answer()
    run(other)
    assert looked(tmp_path)["old"].archive == other.archive
    assert looked(tmp_path)["old"].outcome is FETCHED


def test_an_archive_in_trouble_fails_nothing_and_is_asked_again_when_it_may_be_over(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    urls = [archived(site, f"/{number}", in_turn(answer(b"", "503 Busy"), answer())) for number in range(3)]
    plan(tmp_path, urls)
    run(with_archive(tmp_path, site))
    assert "3 images of train are still to be looked for in the archive" in capfd.readouterr().err
    assert {image.outcome for image in looked(tmp_path).values()} == {GONE}
    asked = len(site.log)
    run(with_archive(tmp_path, site))
    assert len(site.log) == asked
    said = capfd.readouterr().err
    assert "3 images of train could come back: 3 from the archive, which had trouble, by a run after" in said
    run(with_archive(tmp_path, site, retry_transient_after=0.0))
    assert {image.outcome for image in looked(tmp_path).values()} == {FETCHED}
    assert {hit.host for hit in site.log[asked:]} == {ARCHIVE}


def test_an_archive_that_is_down_is_left_alone_and_the_rest_comes_first_in_the_next_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "FAILURES_IN_A_ROW", 3)
    urls = [archived(site, f"/{number}", answer(b"", "502 Down")) for number in range(9)]
    plan(tmp_path, urls)
    run(with_archive(tmp_path, site))
    assert 3 <= len(asked_of(site, ARCHIVE)) <= 7
    images = looked(tmp_path).values()
    assert {image.outcome for image in images} == {GONE}
    unasked = [image.image_id for image in images if image.archive is None]
    assert unasked
    for url in urls:
        site.pages[f"{ARCHIVE}/web/2018id_/{url}"] = answer()
    run(with_archive(tmp_path, site))
    assert {image.outcome for image in looked(tmp_path).values()} == {FETCHED}


def test_a_rest_that_the_archive_asks_for_is_kept(site: Site, tmp_path: Path) -> None:
    pages = in_turn(answer(b"", "429 Too Many Requests", Retry_After="1"), answer())
    plan(tmp_path, [archived(site, "/a", pages), archived(site, "/b", pages)])
    run(with_archive(tmp_path, site, attempts=3, connections_per_host=1))
    first, second, third = (hit.at for hit in asked_of(site, ARCHIVE))
    assert second - first >= 1
    assert third - second < 1
    assert {image.outcome for image in looked(tmp_path).values()} == {FETCHED}


def test_a_group_has_its_share_of_the_archives_rate(site: Site, tmp_path: Path) -> None:
    urls = [archived(site, f"/{number}", redirect("/copy")) for number in range(2)]
    site.pages[f"{ARCHIVE}/copy"] = answer()
    others = [site.url(f"/{number}", HOSTS[1]) for number in range(6)]
    plan(tmp_path, urls + others, num_shards=2)
    run(with_archive(tmp_path, site, group="0/2", archive_rate=40.0))
    at = [hit.at for hit in asked_of(site, ARCHIVE)]
    assert len(at) == 4
    assert min(later - earlier for earlier, later in itertools.pairwise(at)) >= 0.095


def test_the_archives_robots_txt_and_the_guard_of_addresses_hold_there_too(site: Site, tmp_path: Path) -> None:
    url = archived(site, "/old", answer())
    site.pages[f"{ARCHIVE}/robots.txt"] = ROBOTS
    plan(tmp_path, [url])
    run(with_archive(tmp_path, site))
    assert looked(tmp_path)["old"].archive_outcome == ImageOutcome.ROBOTS_DISALLOWED
    run(with_archive(tmp_path, site, robots="ignore", allow_network=("127.0.0.1/32",)))
    assert looked(tmp_path)["old"].archive_outcome == ImageOutcome.ADDRESS_NOT_ALLOWED
    assert not asked_of(site, ARCHIVE)
    run(with_archive(tmp_path, site, robots="ignore"))
    assert looked(tmp_path)["old"].outcome is FETCHED


def test_retry_asks_the_host_and_then_the_archive_again(site: Site, tmp_path: Path) -> None:
    plan(tmp_path, [archived(site, "/old", in_turn(NOT_FOUND, answer()))])
    run(with_archive(tmp_path, site))
    run(with_archive(tmp_path, site, retry=("gone",)))
    assert [hit.host for hit in site.log] == [HOSTS[0], ARCHIVE, HOSTS[0], ARCHIVE]
    assert looked(tmp_path)["old"].outcome is FETCHED


@pytest.mark.slow
def test_killed_while_looking_it_asks_nothing_twice(site: Site, tmp_path: Path) -> None:
    urls = [archived(site, f"/{number}", answer() if number % 2 else NOT_FOUND) for number in range(60)]
    plan(tmp_path, urls)
    run(parameters(tmp_path))
    slowly = with_archive(tmp_path, site, archive_rate=20.0, connections_per_host=1)
    site.log.clear()
    options = [f"--{name.replace('_', '-')}={value}" for name, value in vars(slowly).items() if isinstance(value, str)]
    command = [sys.executable, "-m", "components.download", *(o for o in options if not o.endswith("="))]
    for asked in (5, 25):
        process = subprocess.Popen(
            [*command, "--archive-rate=20", "--connections-per-host=1", "--allow-network=127.0.0.0/8"],
            stderr=subprocess.DEVNULL,
        )
        while len(site.log) < asked:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(slowly)
    # What was under way at a kill was not answered yet.
    assert 60 <= len(site.log) <= 62
    assert sum(image.outcome is FETCHED for image in looked(tmp_path).values()) == 30


@pytest.mark.parametrize(
    "template",
    [
        "https://archive.example/web/",
        "archive.example/{url}",
        "ftp://archive.example/{url}",
        "https://{url}",
        "https://archive.example/{url}/{url}",
        "https://archive.example/{date}/{url}",
        "https://archive.example/#{url}",
        "https://me:secret@archive.example/{url}",
        "https://archive.example:port/{url}",
        "https://archive example/{url}",
    ],
)
def test_a_template_that_is_none_is_refused_in_one_line(template: str) -> None:
    with pytest.raises(ConfigurationError, match="for example https://web") as refused:
        parameters("root", archive=template)
    assert "\n" not in str(refused.value)


def test_a_url_stands_as_it_is_in_a_path_and_encoded_in_a_query() -> None:
    url = "http://a.example/p.jpg?size=1&x=%20"
    assert address("https://w.example/2018id_/{url}", url) == f"https://w.example/2018id_/{url}"
    encoded = "http%3A%2F%2Fa.example%2Fp.jpg%3Fsize%3D1%26x%3D%2520"
    assert address("https://w.example/get?u={url}&d=2018", url) == f"https://w.example/get?u={encoded}&d=2018"


def test_an_archive_is_no_input_of_what_is_stored() -> None:
    plain = parameters("root")
    assert replace(plain, archive="https://w.example/{url}").settings == plain.settings
