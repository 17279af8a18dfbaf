"""Answers that browsers take, and others: outcome, class, how often it is asked for, and what is stored."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from components.download.step import run
from fec.outcomes import ImageOutcome, Kind
from fec.segments import read_original
from fec.storage import open_storage
from tests.components.download.site import HOSTS, JPEG, Hit, Page, Site, answer, head, parameters, plan, raw, stored
from tests.components.download.test_fetch import fetch

BODY = JPEG + bytes(3000) + b"end"
LENGTH = f"Content-Length: {len(BODY)}\r\n"


def said(lines: str, body: bytes = BODY) -> Page:
    return raw(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1") + body)


def packed(wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(BODY) + packer.flush()


def arrow(codec: str) -> bytes:
    return bytes(pa.compress(BODY, codec=codec, asbytes=True))


def chunks(body: bytes) -> bytes:
    """``body`` in two chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1000], body[1000:])) + b"0\r\n\r\n"


def encoded(name: str, body: bytes = BODY) -> Page:
    return answer(body, Content_Encoding=name)


CHUNKS = chunks(BODY)
F, GONE, REFUSED = ImageOutcome.FETCHED, ImageOutcome.GONE, ImageOutcome.REFUSED
BROKEN, LATER, ERROR = ImageOutcome.CONNECTION_FAILED, ImageOutcome.RATE_LIMITED, ImageOutcome.SERVER_ERROR
FINAL, OURS, TRANSIENT = Kind.FINAL, Kind.OURS, Kind.TRANSIENT

# What the server sends; the outcome and its class; how often it is asked for with three attempts; what is stored.
ANSWERS: dict[str, tuple[Page, ImageOutcome, Kind, int, bytes | None]] = {
    "a header of 20 KB": (said(f"{LENGTH}Set-Cookie: {'a' * 20_000}\r\n"), F, FINAL, 1, BODY),
    "no reason": (raw(f"HTTP/1.1 200\r\n{LENGTH}\r\n".encode() + BODY), F, FINAL, 1, BODY),
    "HTTP/1.0 to the end": (raw(b"HTTP/1.0 200 OK\r\n\r\n" + BODY), F, FINAL, 1, BODY),
    "line feeds alone": (raw(f"HTTP/1.1 200 OK\nContent-Length: {len(BODY)}\n\n".encode() + BODY), F, FINAL, 1, BODY),
    "continue first": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" + head(length=len(BODY)) + BODY), F, FINAL, 1, BODY),
    "hints first": (
        raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head(length=len(BODY)) + BODY),
        F,
        FINAL,
        1,
        BODY,
    ),
    "201": (answer(BODY, "201 Created"), F, FINAL, 1, BODY),
    "203": (answer(BODY, "203 Non-Authoritative Information"), F, FINAL, 1, BODY),
    **{
        f"encoding {name}": (encoded(name), F, FINAL, 1, BODY)
        for name in ("none", "UTF-8", "binary", "identity, identity", "aws-chunked", "jpeg", "gzip", "br", "x, y, z, a")
    },
    "gzip": (encoded("gzip", packed(31)), F, FINAL, 1, BODY),
    "GZIP, identity": (encoded("GZIP, identity", packed(31)), F, FINAL, 1, BODY),
    "gzip in gzip": (encoded("gzip, gzip", gzip.compress(packed(31))), F, FINAL, 1, BODY),
    "gzip in members": (encoded("gzip", gzip.compress(BODY[:2000]) + gzip.compress(BODY[2000:])), F, FINAL, 1, BODY),
    "gzip and bytes after it": (encoded("gzip", packed(31) + bytes(9)), F, FINAL, 1, BODY),
    "deflate": (encoded("deflate", packed(15)), F, FINAL, 1, BODY),
    "raw deflate": (encoded("deflate", packed(-15)), F, FINAL, 1, BODY),
    "br": (encoded("br", arrow("brotli")), F, FINAL, 1, BODY),
    "zstd": (encoded("zstd", arrow("zstd")), F, FINAL, 1, BODY),
    "an unknown encoding": (encoded("lz5", b"\1\2" + BODY), ImageOutcome.UNDECODABLE, FINAL, 1, None),
    "gzip that breaks off": (encoded("gzip", packed(31)[:-9]), BROKEN, TRANSIENT, 3, None),
    **{
        name: (said(lines, body), F, FINAL, 1, BODY)
        for name, lines, body in (
            ("two equal lengths", LENGTH + LENGTH, BODY),
            ("two equal lengths in one", f"Content-Length: {len(BODY)}, {len(BODY)}\r\n", BODY),
            ("a length beside chunks", f"Transfer-Encoding: chunked\r\n{LENGTH}", CHUNKS),
            ("a wrong length beside chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
            ("an empty length", "Content-Length: \r\n", BODY),
            ("no encoding of the transfer", f"Transfer-Encoding: identity\r\n{LENGTH}", BODY),
            ("gzip as an encoding of the transfer", "Transfer-Encoding: gzip, chunked\r\n", chunks(packed(31))),
            ("bytes after the body", LENGTH, BODY + b"HTTP/1.1 200 OK\r\n\r\n" + JPEG),
            ("bytes after chunks", "Transfer-Encoding: chunked\r\n", CHUNKS + b"and more"),
            ("chunks between line feeds", "Transfer-Encoding: chunked\r\n", CHUNKS.replace(b"\r\n", b"\n")),
            ("chunks with notes", "Transfer-Encoding: chunked\r\n", CHUNKS.replace(b"\r\n", b" ;a=b\r\n", 1)),
            ("chunks and a trailer", "Transfer-Encoding: chunked\r\n", CHUNKS[:-2] + b"A: b\r\n\r\n"),
            ("a line without a colon", f"what is this\r\n{LENGTH}", BODY),
            ("a name that is none", f": a\r\nX\xe9 y: b\r\n{LENGTH}", BODY),
            ("a NUL in a header", f"X: \0\r\n{LENGTH}", BODY),
            ("a header over two lines", f"X: a\r\n b\r\n{LENGTH}", BODY),
            ("1,000 headers", "X: a\r\n" * 1000 + LENGTH, BODY),
        )
    },
    **{
        f"status line {line}": (raw(f"{line}\r\n{LENGTH}\r\n".encode() + BODY), F, FINAL, 1, BODY)
        for line in ("HTTP/1.2 200 OK", "HTTP/2 200", "http/1.1 200 ok", "HTTP/1.1  200  OK", "\r\nHTTP/1.1 200 OK")
    },
    "two lengths": (said(f"{LENGTH}Content-Length: 5\r\n"), BROKEN, TRANSIENT, 3, None),
    "chunks that are none": (said("Transfer-Encoding: chunked\r\n"), BROKEN, TRANSIENT, 3, None),
    "chunks that break off": (said("Transfer-Encoding: chunked\r\n", CHUNKS[:-5]), BROKEN, TRANSIENT, 3, None),
    "a head without end": (raw(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 400_000), BROKEN, TRANSIENT, 3, None),
    "a body that breaks off": (said(LENGTH, BODY[:-1]), BROKEN, TRANSIENT, 3, None),
    "404 that asks for a rest": (answer(b"", "404 Not Found", Retry_After="9"), GONE, FINAL, 1, None),
    "403 that asks for a rest": (answer(b"", "403 Forbidden", Retry_After="9"), REFUSED, OURS, 1, None),
    "500 that asks for a rest": (answer(b"", "500 Oops", Retry_After="9"), ERROR, TRANSIENT, 3, None),
    "429": (answer(b"", "429 Slow down"), LATER, TRANSIENT, 3, None),
    **{
        name: (answer(start + bytes(50)), F, FINAL, 1, start + bytes(50))
        for name, start in {
            "HEIC": b"\0\0\0\x18ftypheic",
            "HEIC, generic": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
            "AVIF, generic": b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
            "JPEG XL": b"\xff\x0a\xfa",
            "JPEG XL, boxed": b"\0\0\0\x0cJXL \r\n\x87\n",
        }.items()
    },
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_to(site: Site, tmp_path: Path, quick: None, name: str) -> None:
    page, outcome, kind, asked, data = ANSWERS[name]
    site.pages["/x"] = page
    url = site.url("/x")
    plan(tmp_path, [url, *(site.url(f"/{number}") for number in range(9))])
    site.default = answer(BODY)
    run(parameters(tmp_path))
    image = stored(tmp_path)[url]
    assert (image.outcome, image.outcome.kind) == (outcome, kind), image.detail
    assert site.asked()["/x"] == asked
    assert (image.length or 0) == len(data or b"")
    if data is not None:
        assert read_original(open_storage(str(tmp_path)), "train", 0, image) == data


def unasked(then: Callable[[], bytes], pause: float) -> Page:
    """A picture, and a moment later another that nobody asked for, on the same connection."""

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        mine = JPEG + hit.path.encode()
        out.write(head(length=len(mine)) + mine)
        await out.drain()
        await asyncio.sleep(pause)
        out.write(then())

    return page


@pytest.mark.parametrize("pause", [0.0, 0.005])
def test_a_picture_that_nobody_asked_for_is_nobodys(site: Site, tmp_path: Path, pause: float) -> None:
    other = JPEG + b"another picture"
    site.default = unasked(lambda: head(length=len(other)) + other, pause)
    urls = [site.url(f"/{number}", host) for number in range(12) for host in HOSTS[:3]]
    plan(tmp_path, urls)
    run(parameters(tmp_path, requests_per_second=10.0))
    storage = open_storage(str(tmp_path))
    images = stored(tmp_path)
    assert {image.outcome for image in images.values()} == {F}
    for url, image in images.items():
        assert read_original(storage, "train", 0, image) == JPEG + f"/{url.rpartition('/')[2]}".encode()


def test_a_connection_on_which_anything_was_odd_is_not_used_again(site: Site) -> None:
    """In pieces of one byte, so that nothing depends on what comes together."""

    def page(lines: str, body: bytes) -> Page:
        async def drip(hit: Hit, out: asyncio.StreamWriter) -> None:
            for byte in f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body:
                out.write(bytes([byte]))
                await out.drain()

        return drip

    ports: list[int] = []

    def noted(then: Page) -> Page:
        async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
            ports.append(out.get_extra_info("peername")[1])
            await then(hit, out)

        return page

    length = f"Content-Length: {len(JPEG)}\r\n"
    odd = [page(length + length, JPEG), page("?\r\n" + length, JPEG), page(length, JPEG + b"more")]
    good = [page("Transfer-Encoding: chunked\r\n", chunks(JPEG)), page(length, JPEG)]
    for number, one in enumerate([*good, *odd]):
        site.pages[f"/{number}"] = noted(one)
    got = fetch(*(site.url(f"/{number % 5}") for number in range(10)))
    assert [one.data for one in got] == [JPEG] * 10
    assert len(set(ports[:3])) == 1  # the good ones, and the odd one after them
    assert len(set(ports)) == 6
