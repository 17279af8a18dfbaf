"""How fast images are fetched, against plain thread pools: python benchmarks/download.py [--images N] [--rounds N].

A web server in a process of its own, on eight loopback addresses, sends bodies of the size of real photographs, a
tenth of them 404. Every client fetches the same URLs from it, in turn, each in a process of its own. Ours is the whole
step, which also hashes, journals, packs and syncs what it gets; the thread pools put each image in a file, no more.
Start-up (imports) is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(1, 9))
CONNECTIONS: Final = 32
# Bytes: photographs of 640-1600 pixels have about 185 kB in the mean, a few large ones among many small.
MEAN_BYTES: Final = 185_000
MISSING: Final = 10  # one in so many is a 404
BODIES: Final = 40
CLIENTS: Final = ("ours", "urllib", "requests")


def serve() -> None:
    """Answer until stdin ends; the port is the first line of stdout."""
    import uvloop

    draw = random.Random(0)
    sizes = [min(2_000_000, int(draw.lognormvariate(0, 0.6) * MEAN_BYTES / 1.2)) for _ in range(BODIES)]
    answers = [_answer("200 OK", b"\xff\xd8\xff\xe0" + draw.randbytes(size)) for size in sizes]
    missing = _answer("404 Not Found", b"no such thing")

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.received = transport, b""

        def data_received(self, data: bytes) -> None:
            self.received += data
            while b"\r\n\r\n" in self.received:
                head, _, self.received = self.received.partition(b"\r\n\r\n")
                number = int(head.split(b" ", 2)[1].strip(b"/").partition(b".")[0])
                self.transport.write(missing if number % MISSING == 0 else answers[number % BODIES])
                if b"\r\nconnection: close" in head.lower():
                    self.transport.close()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        port = 0
        for host in HOSTS:
            server = await loop.create_server(Connection, host, port, backlog=1024)
            port = server.sockets[0].getsockname()[1]
        print(port, flush=True)
        await loop.run_in_executor(None, sys.stdin.read)

    uvloop.run(run())


def _answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def site() -> Iterator[int]:
    """The port of a server in a process of its own."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.communicate()


def urls(images: int, port: int) -> list[str]:
    """Two fifths of them at the first host, as at the largest host of the published list."""
    return [
        f"http://{HOSTS[0] if number % 5 < 2 else HOSTS[1 + number % 7]}:{port}/{number}.jpg"
        for number in range(images)
    ]


def ours(images: int, port: int) -> Callable[[], int]:
    """The download step itself, without its rate limit."""
    import uvloop  # noqa: F401 - imported by the step when it runs

    from components.download import shards
    from components.download.step import Parameters
    from components.plan.hosts import host_key
    from fec import identity, layout, tables
    from fec.done import Done, read_done, write_done
    from fec.storage import open_storage

    folder = tempfile.TemporaryDirectory()
    storage = open_storage(folder.name)
    rows = [
        {"image_id": identity.image_id(url), "url": url, "host_key": host_key(url), "shard": 0}
        for url in urls(images, port)
    ]
    plan = layout.plan_dir("train")
    tables.write_table(storage, f"{plan}/images.parquet", tables.from_rows(rows, tables.IMAGES))
    write_done(storage, plan, Done("plan", "", "", details={"num_shards": 1}))
    parameters = Parameters(
        root=folder.name,
        split="train",
        group="0/1",
        allow_network=("127.0.0.0/8",),
        requests_per_second=1e6,
        connections=CONNECTIONS,
        connections_per_host=CONNECTIONS // 2,
    )

    def run() -> int:
        with folder:
            shards.download(parameters)
            done = read_done(storage, layout.images_dir("train", 0))
            return done.counts["fetched"] if done is not None else 0

    return run


def with_urllib(images: int, port: int) -> Callable[[], int]:
    """A connection a request, as urllib has it."""

    def fetch(url: str) -> bytes | None:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                data: bytes = response.read()
                return data
        except urllib.error.HTTPError as error:
            error.close()
            return None

    return lambda: _pooled(fetch, urls(images, port))


def with_requests(images: int, port: int) -> Callable[[], int]:
    """Connections kept, one session a thread."""
    import requests  # type: ignore[import-untyped]

    mine = threading.local()

    def fetch(url: str) -> bytes | None:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
        response = mine.session.get(url, timeout=30)
        return response.content if response.status_code == 200 else None

    return lambda: _pooled(fetch, urls(images, port))


def _pooled(fetch: Callable[[str], bytes | None], wanted: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(CONNECTIONS) as pool:

        def store(url: str) -> bool:
            data = fetch(url)
            if data is not None:
                Path(folder, url.rpartition("/")[2]).write_bytes(data)
            return data is not None

        return sum(pool.map(store, wanted))


def measure(client: str, images: int, port: int) -> None:
    """Fetch everything with one client; prints what it took as JSON."""
    run = {"ours": ours, "urllib": with_urllib, "requests": with_requests}[client](images, port)
    cpu, started = time.process_time(), time.perf_counter()
    fetched = run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"fetched": fetched, "URLs/s": images / seconds, "CPU s": cpu / images * 1000, "peak MB": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=2, metavar=("CLIENT", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    elif options.client:
        measure(options.client[0], options.images, int(options.client[1]))
    else:
        compare(options.images, options.rounds)


def compare(images: int, rounds: int) -> None:
    """Print the median of ``rounds`` for every client, and how many times ours each is."""
    found: dict[str, list[dict[str, float]]] = {client: [] for client in CLIENTS}
    with site() as port:
        for _ in range(rounds):
            for client in CLIENTS:
                command = [sys.executable, __file__, "--images", str(images), "--client", client, str(port)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                found[client].append(json.loads(done.stdout.splitlines()[-1]))
    fetched = {result["fetched"] for results in found.values() for result in results}
    assert len(fetched) == 1, f"the clients fetched different numbers of images: {fetched}"
    print(f"{images:,} URLs, {fetched.pop():,.0f} of them images; {CONNECTIONS} connections; median of {rounds}")
    print(f"{'client':10}{'URLs/s':>16}{'CPU s/1000':>18}{'peak MB':>16}   (times ours)")
    best = _medians(found["ours"])
    for client in CLIENTS:
        middle = _medians(found[client])
        columns = [f"{middle[name]:9.2f} ({middle[name] / best[name]:4.2f})" for name in best]
        print(f"{client:10}" + "  ".join(columns))


def _medians(results: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(result[name] for result in results) for name in ("URLs/s", "CPU s", "peak MB")}


if __name__ == "__main__":
    main()
