"""How fast images are fetched and stored, beside plain thread pools: python benchmarks/download.py [--urls N].

A server of its own on eight loopback addresses hands out bodies of the sizes photographs have, one link in ten is
dead. The same URLs go through the download step, with its rate limit lifted, and through 32 threads of ``requests``
and of ``urllib`` that write a file an image and keep no manifest. Each client is a process of its own; imports are
not counted. There is no TLS and no distance, so CPU seconds are what tells; the ratios hold on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fec.rows import PlannedImage

ROOT_FOLDER: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT_FOLDER))

HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(11, 19))
# Share of the URLs at the first host, as flickr has it in FEC.
TOP_HOST: Final = 0.4
DEAD: Final = 0.1
BODIES: Final = 200
MEAN_BYTES: Final = 185_000
THREADS: Final = 32


def bodies() -> list[bytes]:
    """Bodies that start like a JPEG, log-normal in size around MEAN_BYTES."""
    draw = random.Random(0)
    sizes = [int(min(2_000_000, draw.lognormvariate(0, 0.7) / 1.28 * MEAN_BYTES)) for _ in range(BODIES)]
    return [b"\xff\xd8\xff\xe0" + draw.randbytes(size) for size in sizes]


def urls(count: int, port: int) -> list[str]:
    draw = random.Random(1)
    hosts = [HOSTS[0] if draw.random() < TOP_HOST else draw.choice(HOSTS[1:]) for _ in range(count)]
    return [
        f"http://{host}:{port}/{'dead' if draw.random() < DEAD else 'photo'}/{number}"
        for number, host in enumerate(hosts)
    ]


class Photographs(asyncio.Protocol):
    """Answers GETs over kept connections, with as little work as can be."""

    answers: tuple[bytes, ...] = ()
    dead = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nContent-Type: text/plain\r\n\r\nnot here\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while b"\r\n\r\n" in self.seen:
            request, _, self.seen = self.seen.partition(b"\r\n\r\n")
            path = request.split(b" ", 2)[1]
            number = int(path.rpartition(b"/")[2])
            self.transport.write(self.dead if path.startswith(b"/dead") else self.answers[number % len(self.answers)])
            if b"Connection: close" in request:
                self.transport.close()


async def serve() -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
    Photographs.answers = tuple(head.format(len(body)).encode() + body for body in bodies())
    loop = asyncio.get_running_loop()
    port = 0
    for host in HOSTS:
        server = await loop.create_server(Photographs, host, port, backlog=512)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def server() -> Iterator[int]:
    """The server in a process of its own; its port."""
    process = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def with_the_step(wanted: list[str], folder: Path) -> Callable[[], int]:
    import components.download.work  # noqa: F401 - paid before the clock starts
    from components.download.step import Parameters, run
    from fec import identity, layout, tables
    from fec.done import Done, read_done, write_done
    from fec.hosts import host_key
    from fec.storage import open_storage

    storage = open_storage(str(folder))
    rows = [PlannedImage(identity.image_id(url), url, host_key(url), HOSTS.index(host_key(url))) for url in wanted]
    table = tables.from_rows(sorted(rows, key=lambda row: (row.shard, row.image_id)), PlannedImage)
    digest = tables.write_table(storage, f"{layout.plan_dir('train')}/images.parquet", table)
    write_done(storage, layout.plan_dir("train"), Done("plan", "0" * 64, digest, details={"num_shards": len(HOSTS)}))
    asked = Parameters(str(folder), "train", "0/1", allow_network=("127.0.0.0/8",), requests_per_second=1e6)

    def work() -> int:
        run(asked)
        markers = [read_done(storage, layout.images_dir("train", shard)) for shard in range(len(HOSTS))]
        return sum(marker.counts["fetched"] for marker in markers if marker is not None)

    return work


def with_requests(wanted: list[str], folder: Path) -> Callable[[], int]:
    import threading

    import requests  # type: ignore[import-untyped]

    local = threading.local()

    def fetch(numbered: tuple[int, str]) -> bool:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        answer = local.session.get(numbered[1], timeout=30)
        if answer.status_code == 200:
            (folder / str(numbered[0])).write_bytes(answer.content)
        return bool(answer.status_code == 200)

    return lambda: sum(ThreadPoolExecutor(THREADS).map(fetch, enumerate(wanted)))


def with_urllib(wanted: list[str], folder: Path) -> Callable[[], int]:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    def fetch(numbered: tuple[int, str]) -> bool:
        try:
            with urlopen(numbered[1], timeout=30) as answer:
                (folder / str(numbered[0])).write_bytes(answer.read())
        except HTTPError as error:
            error.close()
            return False
        return True

    return lambda: sum(ThreadPoolExecutor(THREADS).map(fetch, enumerate(wanted)))


CLIENTS: Final = {"download step": with_the_step, "requests": with_requests, "urllib": with_urllib}


def measure(client: str, count: int, port: int) -> None:
    """Run one client and print what it took, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        work = CLIENTS[client](urls(count, port), Path(folder))
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        fetched = work()
        after, ended = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"fetched": fetched, "seconds": ended - started, "cpu": cpu, "peak": after.ru_maxrss / 1024}))


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        import uvloop

        uvloop.run(serve())
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=3000)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        measure(options.client, options.urls, options.port)
        return
    with server() as port:
        print(f"{options.urls:,} URLs, {TOP_HOST:.0%} of them at one of {len(HOSTS)} hosts, {DEAD:.0%} dead")
        print(f"{'':15}{'fetched':>9}{'URLs/s':>9}{'CPU s/1000':>12}{'CPU, ratio':>12}{'peak MB':>9}")
        ours = 0.0
        for client in CLIENTS:
            arguments = ["--client", client, "--urls", str(options.urls), "--port", str(port)]
            done = subprocess.run(
                [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
            )
            took = json.loads(done.stdout)
            cpu = 1000 * took["cpu"] / options.urls
            ours = ours or cpu
            print(
                f"{client:15}{took['fetched']:>9,}{options.urls / took['seconds']:>9,.0f}{cpu:>12.2f}"
                f"{cpu / ours:>12.1f}{took['peak']:>9,.0f}"
            )


if __name__ == "__main__":
    main()
