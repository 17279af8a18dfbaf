"""A web server on loopback that misbehaves as it is told, and a plan of what to fetch from it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.download.step import Parameters
from fec import identity, layout, tables
from fec.done import Done, write_done
from fec.hosts import host_key
from fec.rows import PlannedImage
from fec.segments import StoredImage, stored_images
from fec.storage import open_storage

# Linux answers on all of 127.0.0.0/8: every address is a host with a key of its own.
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 6))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 4


@dataclass(frozen=True)
class Hit:
    """A line of the access log."""

    host: str
    path: str
    at: float
    headers: Mapping[str, str]


Page = Callable[[Hit, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A running server; ``pages`` by path, or by host and path, and ``default`` for any other.

    ``log`` grows, and ``robots`` with the requests for robots.txt, which there is none of unless it is a page.
    """

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    default: Page | None = None
    log: list[Hit] = field(default_factory=list)
    robots: list[Hit] = field(default_factory=list)

    def url(self, path: str, host: str = HOSTS[0]) -> str:
        return f"http://{host}:{self.port}{path}"

    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(hit.path for hit in self.log)


def head(status: str = "200 OK", length: int | None = None, **headers: str | None) -> bytes:
    lines = [f"HTTP/1.1 {status}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(body: bytes = JPEG, status: str = "200 OK", **headers: str) -> Page:
    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        out.write(head(status, len(body), **{"Content_Type": "image/jpeg", **headers}) + body)

    return page


def raw(data: bytes, reset: bool = False) -> Page:
    """Exactly these bytes, then the end of the connection, or its reset."""

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        out.write(data)
        await out.drain()
        if reset:
            await asyncio.sleep(0.05)
            out.transport.abort()
        out.close()

    return page


def drip(seconds: float, body: bytes = JPEG) -> Page:
    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        out.write(head(length=len(body)))
        for byte in body:
            out.write(bytes([byte]))
            await out.drain()
            await asyncio.sleep(seconds / len(body))

    return page


def late(seconds: float, then: Page) -> Page:
    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(hit, out)

    return page


def endless(content_encoding: str | None = None) -> Page:
    """A body that never ends, as fast as it is read; 16 MiB of it inflate from a thousandth."""
    piece = b"\xff\xd8\xff" + bytes(1 << 16)
    if content_encoding:
        piece = gzip.compress(JPEG + bytes(1 << 24))

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        out.write(head(Content_Encoding=content_encoding))
        with contextlib.suppress(ConnectionError):
            while not out.transport.is_closing():
                out.write(piece)
                await out.drain()
        out.close()

    return page


def redirect(location: str, status: str = "302 Found") -> Page:
    return answer(b"", status, Location=location)


def in_turn(*pages: Page) -> Page:
    """Each page once, the last for ever."""
    left = list(pages)

    async def page(hit: Hit, out: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(hit, out)

    return page


NOT_FOUND = answer(b"no such thing", "404 Not Found", Content_Type="text/plain")


@contextlib.contextmanager
def serve(hosts: Sequence[str] = HOSTS, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A site on every one of ``hosts``, in a thread of its own, while the context lasts."""
    loop = asyncio.new_event_loop()
    site = Site(port)

    async def connected(incoming: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        host = str(out.get_extra_info("sockname")[0])
        with contextlib.closing(out), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not out.is_closing():
                request, *lines = (await incoming.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                hit = Hit(host, request.split(" ")[1], time.monotonic(), headers)
                is_robots = hit.path == "/robots.txt"
                (site.robots if is_robots else site.log).append(hit)
                default = None if is_robots else site.default
                page = site.pages.get(f"{hit.host}{hit.path}") or site.pages.get(hit.path)
                await (page or default or NOT_FOUND)(hit, out)
                await out.drain()

    async def start() -> list[asyncio.Server]:
        servers = []
        for host in hosts:
            server = await asyncio.start_server(connected, host, site.port, backlog=512, ssl=tls)
            site.port = server.sockets[0].getsockname()[1]
            servers.append(server)
        return servers

    servers = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for server in servers:
            server.close()
        loop.run_until_complete(_cancel_the_rest())
        loop.close()


async def _cancel_the_rest() -> None:
    await _turn()  # connections just accepted: a task that has not begun would not close its own
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _turn()


async def _turn() -> None:
    """Let the loop do what is due: begin tasks, let go of sockets."""
    for _ in range(5):
        await asyncio.sleep(0)


def plan(
    root: Path | str, urls: Sequence[str], num_shards: int = 1, shard_of: Callable[[str], int] | None = None
) -> None:
    """The plan of a train split with these images; by default all of a host key in one shard."""
    storage = open_storage(str(root))
    keys = sorted({host_key(url) for url in urls})
    place = shard_of or (lambda url: keys.index(host_key(url)) % num_shards)
    rows = [PlannedImage(identity.image_id(url), url, host_key(url), place(url)) for url in urls]
    rows.sort(key=lambda row: (row.shard, row.image_id))
    directory = layout.plan_dir("train")
    digest = tables.write_table(storage, f"{directory}/images.parquet", tables.from_rows(rows, PlannedImage))
    counts, details = {"images": len(rows)}, {"num_shards": num_shards}
    write_done(storage, directory, Done("plan", "0" * 64, digest, counts, details))


def stored(root: Path | str, num_shards: int = 1) -> dict[str, StoredImage]:
    """What is known of every image, by URL."""
    storage = open_storage(str(root))
    return {
        image.url: image for shard in range(num_shards) for image in stored_images(storage, "train", shard).values()
    }


def parameters(root: Path | str, **more: Any) -> Parameters:
    """Impatient, so that the tests are quick."""
    values: dict[str, Any] = {"allow_network": ("127.0.0.0/8",), "requests_per_second": 2000.0, "timeout": 5.0}
    return Parameters(root=str(root), split="train", **{"group": "0/1"} | values | more)
