"""What becomes of one URL, whatever the host does."""

import asyncio
import gzip
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.download.addresses import networks
from components.download.answers import Answer, Limits
from components.download.fetch import LARGE_BODY, LARGE_PLACES, fetcher
from fec.outcomes import ImageOutcome
from tests.components.download.site import (
    HOSTS,
    JPEG,
    Page,
    Site,
    answer,
    drip,
    endless,
    head,
    in_turn,
    late,
    raw,
    redirect,
    serve,
)

LOOPBACK = ("127.0.0.0/8", "::1/128")
LIMITS = Limits(timeout=1.0, connect_timeout=0.5, max_bytes=100_000, max_redirects=3)


def fetch(*urls: str, allowed: tuple[str, ...] = LOOPBACK, limits: Limits = LIMITS) -> list[Answer]:
    """The answers to ``urls``, asked one after another on the same connections."""

    async def ask() -> list[Answer]:
        async with fetcher(networks(allowed), limits, "tests", 8) as client:
            return [await client.fetch(url) for url in urls]

    return asyncio.run(ask())


def outcome(site: Site, page: Page) -> Answer:
    site.pages["/x"] = page
    return fetch(site.url("/x"))[0]


def test_an_image_is_stored_as_it_came_with_the_headers_worth_keeping(site: Site) -> None:
    headers = {"ETag": '"1"', "Last_Modified": "yesterday", "X_Robots_Tag": "noindex", "Set_Cookie": "a=b"}
    got = outcome(site, answer(JPEG, **headers))
    assert (got.outcome, got.data, got.extension, got.http_status) == (ImageOutcome.FETCHED, JPEG, "jpg", 200)
    assert got.headers == {
        "content-type": "image/jpeg",
        "content-length": str(len(JPEG)),
        "etag": '"1"',
        "last-modified": "yesterday",
        "x-robots-tag": "noindex",
    }


FORMATS = {
    "jpg": b"\xff\xd8\xff\xdb",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "bmp": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "tif": b"II*\0\x08\0\0\0",
    "avif": b"\0\0\0\x1cftypavif",
}


@pytest.mark.parametrize("extension", FORMATS)
def test_formats_are_told_by_their_first_bytes_not_by_what_the_host_says(site: Site, extension: str) -> None:
    got = outcome(site, answer(FORMATS[extension] + bytes(50), Content_Type="text/html"))
    assert (got.outcome, got.extension) == (ImageOutcome.FETCHED, extension)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "an empty body, sent as image/jpeg"),
        (b"\n <!DOCTYPE html><p>Sorry", "an HTML page, sent as image/jpeg"),
        (b'{"error": 1}', "JSON, sent as image/jpeg"),
        (b"<?xml version='1.0'?><svg/>", "XML, sent as image/jpeg"),
        (b"BMW is a maker of motor cars", "unknown bytes, sent as image/jpeg"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "unknown bytes, sent as image/jpeg"),
    ],
)
def test_what_is_no_image_is_said(site: Site, body: bytes, detail: str) -> None:
    got = outcome(site, answer(body))
    assert (got.outcome, got.detail, got.data) == (ImageOutcome.NOT_AN_IMAGE, detail, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("404 Not Found", ImageOutcome.GONE),
        ("410 Gone", ImageOutcome.GONE),
        ("451 Unavailable", ImageOutcome.GONE),
        ("401 Unauthorized", ImageOutcome.REFUSED),
        ("403 Forbidden", ImageOutcome.REFUSED),
        ("204 No Content", ImageOutcome.REFUSED),
        ("206 Partial Content", ImageOutcome.REFUSED),
        ("302 Found", ImageOutcome.REFUSED),
        ("999 Request Denied", ImageOutcome.REFUSED),
        ("408 Request Timeout", ImageOutcome.TIMED_OUT),
        ("429 Too Many Requests", ImageOutcome.RATE_LIMITED),
        ("500 Oops", ImageOutcome.SERVER_ERROR),
        ("503 Busy", ImageOutcome.SERVER_ERROR),
        ("530 Origin DNS error", ImageOutcome.SERVER_ERROR),
    ],
)
def test_statuses(site: Site, status: str, expected: ImageOutcome) -> None:
    got = outcome(site, answer(b"" if status.startswith("204") else JPEG, status))
    assert (got.outcome, got.detail, got.http_status) == (expected, status, int(status[:3]))


PAGES: dict[str, tuple[Page, ImageOutcome]] = {
    "nothing at all": (raw(b""), ImageOutcome.CONNECTION_FAILED),
    "reset at once": (raw(b"", reset=True), ImageOutcome.CONNECTION_FAILED),
    "reset within the head": (raw(b"HTTP/1.1 200 OK\r\nContent-", reset=True), ImageOutcome.CONNECTION_FAILED),
    "reset within the body": (raw(head(length=5000) + JPEG, reset=True), ImageOutcome.CONNECTION_FAILED),
    "shorter than declared": (raw(head(length=5000) + JPEG), ImageOutcome.CONNECTION_FAILED),
    "chunks that break off": (
        raw(head(Transfer_Encoding="chunked") + b"4\r\n\xff\xd8\xff\xe0\r\n"),
        ImageOutcome.CONNECTION_FAILED,
    ),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9\r\n"), ImageOutcome.CONNECTION_FAILED),
    "a length that is no number": (raw(head(Content_Length="many") + JPEG), ImageOutcome.CONNECTION_FAILED),
    "an endless header": (raw(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000), ImageOutcome.CONNECTION_FAILED),
    "an encoding nobody knows": (answer(b"LZ" + JPEG, Content_Encoding="lz5"), ImageOutcome.UNDECODABLE),
    "brotli that is none": (answer(b"none" + JPEG, Content_Encoding="br"), ImageOutcome.UNDECODABLE),
    "gzip that is none": (answer(b"none" + JPEG, Content_Encoding="gzip"), ImageOutcome.UNDECODABLE),
    "a picture not for this": (answer(JPEG, X_Robots_Tag="noindex, noai"), ImageOutcome.OPTED_OUT),
    "gzip that breaks off": (
        answer(gzip.compress(JPEG)[:-20], Content_Encoding="gzip"),
        ImageOutcome.CONNECTION_FAILED,
    ),
    "hangs": (late(30, answer()), ImageOutcome.TIMED_OUT),
    "drips": (drip(30), ImageOutcome.TIMED_OUT),
    "declares too much": (raw(head(length=100_001) + JPEG), ImageOutcome.TOO_LARGE),
    "never ends": (endless(), ImageOutcome.TOO_LARGE),
    "a gzip bomb": (endless("gzip"), ImageOutcome.TOO_LARGE),
    "goes to no URL": (redirect("http://["), ImageOutcome.INVALID_URL),
    "goes to a file": (redirect("file:///etc/passwd"), ImageOutcome.INVALID_URL),
    "goes to a script": (redirect("javascript:alert(1)"), ImageOutcome.INVALID_URL),
    "goes in circles": (redirect("/x"), ImageOutcome.TOO_MANY_REDIRECTS),
    "no photograph any more": (
        redirect("https://s.yimg.com/pw/images/photo_unavailable.gif"),
        ImageOutcome.PLACEHOLDER,
    ),
}


@pytest.mark.parametrize("manner", PAGES)
def test_bad_manners_are_an_outcome(site: Site, manner: str) -> None:
    page, expected = PAGES[manner]
    started = time.monotonic()
    got = outcome(site, page)
    assert (got.outcome, got.data) == (expected, None), got
    assert got.detail
    assert time.monotonic() - started < 5  # LIMITS.timeout is 1


def test_a_bomb_does_not_fill_the_memory(site: Site) -> None:
    site.pages["/x"] = endless("gzip")
    tracemalloc.start()
    assert fetch(site.url("/x"))[0].outcome is ImageOutcome.TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("size", [100_000, 3 << 20])
def test_an_image_just_as_large_as_allowed_is_fetched(site: Site, size: int) -> None:
    body = JPEG + bytes(size - len(JPEG))
    site.pages.update({"/fits": answer(body), "/more": raw(head() + body + b"x")})
    limits = Limits(5, 1, size, 1)
    fits, more = fetch(site.url("/fits"), site.url("/more"), limits=limits)
    assert (fits.outcome, more.outcome) == (ImageOutcome.FETCHED, ImageOutcome.TOO_LARGE)
    assert fits.data == body


@pytest.mark.parametrize(("name", "wbits"), [("gzip", 31), ("x-gzip", 31), ("deflate", 15)])
def test_a_compressed_image_is_inflated_to_the_last_byte(site: Site, name: str, wbits: int) -> None:
    body = JPEG + bytes(70_000) + b"end"
    packer = zlib.compressobj(wbits=wbits)
    got = outcome(site, answer(packer.compress(body) + packer.flush(), Content_Encoding=name))
    assert (got.outcome, got.data) == (ImageOutcome.FETCHED, body)


def test_a_truncated_jpeg_is_fetched_and_left_to_the_faces_step(site: Site) -> None:
    assert outcome(site, answer(JPEG[:40])).outcome is ImageOutcome.FETCHED


def test_redirects_are_followed_and_counted(site: Site) -> None:
    site.pages.update(
        {
            "/a": redirect("b?c=%2F", "301 Moved"),
            "/b?c=%2F": redirect(site.url("/d", HOSTS[1]), "307 Temporary Redirect"),
            "/d": answer(),
        }
    )
    (got,) = fetch(site.url("/a"))
    assert (got.outcome, got.final_url, got.requests) == (ImageOutcome.FETCHED, site.url("/d", HOSTS[1]), 3)
    assert [(hit.host, hit.path) for hit in site.log] == [(HOSTS[0], "/a"), (HOSTS[0], "/b?c=%2F"), (HOSTS[1], "/d")]


@pytest.mark.parametrize(
    ("redirects", "outcome_is", "requests"),
    [(3, ImageOutcome.FETCHED, 4), (4, ImageOutcome.TOO_MANY_REDIRECTS, 4), (9, ImageOutcome.TOO_MANY_REDIRECTS, 4)],
)
def test_three_redirects_are_followed_where_three_are_allowed(
    site: Site, redirects: int, outcome_is: ImageOutcome, requests: int
) -> None:
    site.pages.update({f"/{number}": redirect(f"/{number + 1}") for number in range(redirects)})
    site.pages[f"/{redirects}"] = answer()
    (got,) = fetch(site.url("/0"))
    assert (got.outcome, got.requests, len(site.log)) == (outcome_is, requests, requests)


def test_a_name_that_looks_like_a_placeholder_is_none_if_it_was_asked_for(site: Site) -> None:
    site.pages.update({"/photo_unavailable.jpg": redirect("/2/photo_unavailable.jpg")})
    site.pages.update({"/2/photo_unavailable.jpg": answer()})
    assert fetch(site.url("/photo_unavailable.jpg"))[0].outcome is ImageOutcome.FETCHED


def test_a_url_is_sent_as_it_is_but_for_what_may_not_stand_in_one(site: Site) -> None:
    site.default = answer()
    paths = {
        "/a%2Fb?x=%2F&y=a+b&oh=1_2~3": "/a%2Fb?x=%2F&y=a+b&oh=1_2~3",
        "/a b/é.jpg?q=ü": "/a%20b/%C3%A9.jpg?q=%C3%BC",
        '/a|b"c<d>.jpg': "/a%7Cb%22c%3Cd%3E.jpg",
        "": "/",
        "/x#part": "/x",
        "/\r\nX-Evil: 1": "/X-Evil:%201",
    }
    assert {got.outcome for got in fetch(*map(site.url, paths))} == {ImageOutcome.FETCHED}
    assert [hit.path for hit in site.log] == list(paths.values())
    assert not any("x-evil" in hit.headers for hit in site.log)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "ftp://127.0.0.1/a.jpg",
        "http://",
        "http:///a.jpg",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://[::1/",
        "http://[::1%25lo]/",
        "http://a b/",
        "http://a\0b/",
        "http://a%2eb/",
        "http://\udcff.org/",
    ],
)
def test_what_is_no_url_is_an_outcome(url: str) -> None:
    (got,) = fetch(url)
    assert (got.outcome, got.answered) == (ImageOutcome.INVALID_URL, False), got
    assert got.detail


def test_no_credentials_cookies_or_proxies_are_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.default = answer(JPEG, Set_Cookie="session=1")
    fetch(site.url("/a").replace("//", "//user:secret@"), site.url("/b"))
    assert [hit.path for hit in site.log] == ["/a", "/b"]
    for hit in site.log:
        assert hit.headers.keys() == {"host", "user-agent", "accept", "accept-encoding"}
        assert (hit.headers["user-agent"], hit.headers["accept-encoding"]) == ("tests", "identity")


def test_hostile_text_never_reaches_the_manifest_as_it_is(site: Site) -> None:
    got = outcome(
        site, raw(b"HTTP/1.1 404 \xff\x1b[31m\r\nContent-Length: 0\r\nETag: \xff\xfe\x07" + b"e" * 900 + b"\r\n\r\n")
    )
    assert got.outcome is ImageOutcome.GONE
    for text in (got.detail, got.headers["etag"]):
        assert text.isprintable()
        assert len(text.encode()) < 1000


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        (formatdate(time.time() + 3600, usegmt=True), 1800, 3600),
        (formatdate(0), 0, 0),
        ("9" * 40, 1e8, 1e9),
    ],
    ids=["seconds", "a date", "a date long ago", "for ever"],
)
def test_retry_after_is_seconds_or_a_date(site: Site, value: str, least: float, most: float) -> None:
    got = outcome(site, answer(b"", "503 Busy", Retry_After=value))
    assert got.retry_after is not None
    assert least <= got.retry_after <= most


@pytest.mark.parametrize("value", ["soon", "-1", "", "²"])
def test_a_retry_after_that_is_neither_is_none(site: Site, value: str) -> None:
    assert outcome(site, answer(b"", "429 Slow down", Retry_After=value)).retry_after is None


def test_dead_links_do_not_cost_a_connection_each(site: Site) -> None:
    connections: set[int] = set()

    async def page(hit: object, out: asyncio.StreamWriter) -> None:
        connections.add(out.get_extra_info("peername")[1])
        out.write(head("404 Not Found", 5000) + bytes(5000))

    site.default = page
    fetch(*(site.url(f"/{number}") for number in range(10)))
    assert len(connections) == 1


def test_an_error_page_that_drips_does_not_hold_us(site: Site) -> None:
    async def page(hit: object, out: asyncio.StreamWriter) -> None:
        out.write(head("404 Not Found", 5000) + b"sorry")
        await asyncio.sleep(30)

    site.pages["/x"] = page
    started = time.monotonic()
    (got,) = fetch(site.url("/x"), limits=Limits(10, 1, 1000, 1))
    assert got.outcome is ImageOutcome.GONE
    assert time.monotonic() - started < 4


def test_a_closed_port_and_names_without_an_address(name_servers: None) -> None:
    with serve(HOSTS[:1]) as closed:
        url = closed.url("/")
    names = ("nowhere.invalid", "a.busy.invalid", f"{'a' * 64}.example")
    refused, unknown, busy, too_long = fetch(url, *(f"http://{name}/" for name in names))
    assert refused.outcome is ImageOutcome.CONNECTION_FAILED
    assert "refused" in refused.detail.lower() or "connect" in refused.detail.lower()
    assert (unknown.outcome, unknown.repeatable) == (ImageOutcome.NO_SUCH_HOST, False)
    assert (busy.outcome, busy.repeatable) == (ImageOutcome.DNS_FAILED, True)
    assert (too_long.outcome, too_long.detail) == (ImageOutcome.NO_SUCH_HOST, "not a host name")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A key, and a certificate of the first host that vouches for itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTS[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOSTS[0]))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "tls.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    return path


def served_by(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_nobody_vouches_for_is_a_failed_connection(pem: Path) -> None:
    with serve(HOSTS[:1], tls=served_by(pem)) as site:
        site.default = answer()
        (got,) = fetch(site.url("/x").replace("http:", "https:"))
    assert got.outcome is ImageOutcome.CONNECTION_FAILED
    assert "certificate" in got.detail.lower()
    assert site.log == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_pictures_come_over_one_connection_of_tls(
    pem: Path, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    body = JPEG + bytes(3 << 20)
    ports: set[int] = set()

    async def page(hit: object, out: asyncio.StreamWriter) -> None:
        ports.add(out.get_extra_info("peername")[1])
        out.write(head(length=len(body)) + body)

    async def ask(urls: list[str]) -> list[Answer]:
        async with fetcher(networks(LOOPBACK), Limits(10, 5, 4 << 20, 1), "tests", 8) as client:
            return [await client.fetch(url) for url in urls]

    with serve(HOSTS[:1], tls=served_by(pem)) as site, asyncio.Runner(loop_factory=loop) as runner:
        site.default = page
        got = runner.run(ask([site.url(f"/{number}").replace("http:", "https:") for number in range(3)]))
    assert [one.data == body for one in got] == [True] * 3, got[0].detail
    assert len(ports) == 1


def test_flaky_hosts_answer_the_next_time(site: Site) -> None:
    site.pages["/x"] = in_turn(answer(b"", "503 Busy"), answer())
    first, second = fetch(site.url("/x"), site.url("/x"))
    assert (first.outcome, second.outcome) == (ImageOutcome.SERVER_ERROR, ImageOutcome.FETCHED)


def test_a_large_image_has_its_place_until_it_is_stored(site: Site) -> None:
    site.default = answer(JPEG + bytes(LARGE_BODY))

    async def ask() -> list[ImageOutcome]:
        async with fetcher(networks(LOOPBACK), Limits(4, 4, 2 * LARGE_BODY, 1), "tests", 8) as client:
            held = [await client.fetch(site.url(f"/{number}")) for number in range(LARGE_PLACES)]
            too_many = await client.fetch(site.url("/waits"))
            client.stored(held.pop())
            return [got.outcome for got in (*held, too_many, await client.fetch(site.url("/waits")))]

    *held, too_many, then = asyncio.run(ask())
    assert {*held} == {ImageOutcome.FETCHED}
    assert (too_many, then) == (ImageOutcome.TIMED_OUT, ImageOutcome.FETCHED)


def test_a_large_body_that_is_refused_leaves_its_place(site: Site) -> None:
    site.pages["/broken"] = raw(head(length=2 * LARGE_BODY) + JPEG + bytes(LARGE_BODY + 1000), reset=True)
    site.pages["/text"] = answer(bytes(LARGE_BODY + 1))
    site.pages["/more"] = raw(head() + JPEG + bytes(3 * LARGE_BODY))
    site.pages["/fits"] = answer(JPEG + bytes(LARGE_BODY))
    refused = [site.url(path) for path in ("/broken", "/text", "/more")] * LARGE_PLACES
    *others, last = fetch(*refused, site.url("/fits"), limits=Limits(20, 20, 2 * LARGE_BODY, 1))
    assert ImageOutcome.FETCHED not in {got.outcome for got in others}
    assert last.outcome is ImageOutcome.FETCHED
