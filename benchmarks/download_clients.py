"""The clients that benchmarks/download.py sets beside the download step, each with and without what a step needs.

*Stored* is the least that keeps a picture: its SHA-256, its bytes in a tar, and a row of JSON, without a journal that
outlives a kill, outcomes, retries, redirects, robots.txt or rates. *Guarded* also checks the address before it connects
and the size while it reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.photograph_host import HOSTS
from fec.rows import PlannedImage

CONNECTIONS: Final = 32
MAX_BYTES: Final = 32 << 20
# Does the work; gives how many pictures came.
Work = Callable[[], int]
Keep = Callable[[str, bytes], None]


def plan(wanted: list[str], folder: Path) -> None:
    """A plan of ``wanted``, a shard a host, as the plan step writes it."""
    from fec import identity, layout, tables
    from fec.done import Done, write_done
    from fec.hosts import host_key
    from fec.storage import open_storage

    storage = open_storage(str(folder))
    rows = [PlannedImage(identity.image_id(url), url, host_key(url), HOSTS.index(host_key(url))) for url in wanted]
    table = tables.from_rows(sorted(rows, key=lambda row: (row.shard, row.image_id)), PlannedImage)
    digest = tables.write_table(storage, f"{layout.plan_dir('train')}/images.parquet", table)
    write_done(storage, layout.plan_dir("train"), Done("plan", "0" * 64, digest, details={"num_shards": len(HOSTS)}))


def step(wanted: list[str], folder: Path) -> Work:
    """The download step on the plan in ``folder``, its rate lifted."""
    from components.download.step import Parameters, run
    from fec.memory import take_memory_in_one_place

    take_memory_in_one_place()
    import components.download.work  # noqa: F401 - paid before the clock starts
    from fec import layout
    from fec.done import read_done
    from fec.storage import open_storage

    asked = Parameters(str(folder), "train", "0/1", allow_network=("127.0.0.0/8",), requests_per_second=1e6)

    def work() -> int:
        run(asked)
        storage = open_storage(str(folder))
        markers = [read_done(storage, layout.images_dir("train", shard)) for shard in range(len(HOSTS))]
        return sum(marker.counts.get("fetched", 0) for marker in markers if marker is not None)

    return work


def step_unstored(wanted: list[str], folder: Path) -> Work:
    """The step's own fetching, with all of its guards, and nothing kept."""
    import uvloop

    from components.download.addresses import networks
    from components.download.answers import Limits
    from components.download.fetch import fetcher
    from fec.outcomes import ImageOutcome

    async def crawl() -> int:
        left, got = iter(wanted), 0

        async def work() -> None:
            nonlocal got
            for url in left:
                answer = await client.fetch(url)
                client.stored(answer)
                got += answer.outcome is ImageOutcome.FETCHED

        allowed = networks(["127.0.0.0/8"])
        async with fetcher(allowed, Limits(30, 10, MAX_BYTES, 5), "benchmark", CONNECTIONS) as client:
            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return got

    return lambda: uvloop.run(crawl())


class Kept:
    """A tar and its rows: the least that keeps pictures."""

    def __init__(self, folder: Path) -> None:
        self._tar, self._rows = (folder / "photographs.tar").open("wb"), (folder / "rows.json").open("w")

    def __call__(self, url: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        header = tarfile.TarInfo(digest)
        header.size = len(data)
        for piece in (header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % tarfile.BLOCKSIZE)):
            self._tar.write(piece)
        self._rows.write(json.dumps({"url": url, "sha256": digest, "length": len(data)}) + "\n")


def forgotten(url: str, data: bytes) -> None:
    """Keeps nothing."""


def with_aiohttp(wanted: list[str], keep: Keep) -> Work:
    """aiohttp on uvloop, as its own documentation uses it."""
    import aiohttp
    import uvloop

    async def crawl() -> int:
        left, got = iter(wanted), 0

        async def work() -> None:
            nonlocal got
            for url in left:
                async with session.get(url) as answer:
                    data = await answer.read()
                if answer.status == 200:
                    keep(url, data)
                    got += 1

        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return got

    return lambda: uvloop.run(crawl())


def with_pycurl(wanted: list[str], keep: Keep, guarded: bool) -> Work:
    """libcurl's multi interface, by its own poll."""
    import pycurl

    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, CONNECTIONS)

    def begin(handle: Any, url: str) -> None:
        handle.url, handle.body = url, bytearray()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEFUNCTION, _bounded(handle.body) if guarded else handle.body.extend)
        multi.add_handle(handle)

    def work() -> int:
        left, got, running = iter(wanted), 0, 0
        for _ in range(CONNECTIONS):
            if (url := next(left, None)) is not None:
                begin(_handle(guarded), url)
                running += 1
        while running:
            multi.perform()
            _, done, failed = multi.info_read(CONNECTIONS)
            for handle in [*done, *(one for one, _, _ in failed)]:
                multi.remove_handle(handle)
                if handle in done and handle.getinfo(pycurl.RESPONSE_CODE) == 200:
                    keep(handle.url, bytes(handle.body))
                    got += 1
                running -= 1
                if (url := next(left, None)) is not None:
                    begin(handle, url)
                    running += 1
            if not done and not failed:
                multi.select(1.0)
        return got

    return work


def _handle(guarded: bool) -> Any:
    import socket

    import pycurl

    from components.download.addresses import is_allowed, networks

    handle = pycurl.Curl()
    handle.setopt(pycurl.BUFFERSIZE, 512 << 10)
    handle.setopt(pycurl.NOSIGNAL, 1)
    if guarded:
        loopback = networks(["127.0.0.0/8"])

        def opened(purpose: int, address: Any) -> Any:
            if not is_allowed(str(address.addr[0]), loopback):
                return pycurl.SOCKET_BAD
            return socket.socket(address.family, address.socktype, address.protocol)

        handle.setopt(pycurl.OPENSOCKETFUNCTION, opened)
        handle.setopt(pycurl.HEADERFUNCTION, lambda line: None)
    return handle


def _bounded(body: bytearray) -> Callable[[bytes], int]:
    def write(piece: bytes) -> int:
        if len(body) + len(piece) > MAX_BYTES:
            return 0
        body.extend(piece)
        return len(piece)

    return write


CLIENTS: Final[dict[str, Callable[[list[str], Path], Work]]] = {
    "download step": step,
    "  its fetching alone": step_unstored,
    "aiohttp": lambda wanted, folder: with_aiohttp(wanted, forgotten),
    "aiohttp, stored": lambda wanted, folder: with_aiohttp(wanted, Kept(folder)),
    "pycurl": lambda wanted, folder: with_pycurl(wanted, forgotten, guarded=False),
    "pycurl, stored": lambda wanted, folder: with_pycurl(wanted, Kept(folder), guarded=False),
    "pycurl, stored, guarded": lambda wanted, folder: with_pycurl(wanted, Kept(folder), guarded=True),
}
