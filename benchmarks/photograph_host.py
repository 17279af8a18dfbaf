"""Hosts of photographs on eight loopback addresses: python benchmarks/photograph_host.py MEAN_BYTES."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(11, 19))
# Share of the URLs at the first host, as flickr has it in FEC.
TOP_HOST: Final = 0.4
DEAD: Final = 0.1
BODIES: Final = 200


def bodies(mean_bytes: int) -> list[bytes]:
    """Bodies that start like a JPEG, log-normal in size around ``mean_bytes``."""
    draw = random.Random(0)
    sizes = [int(min(2_000_000, draw.lognormvariate(0, 0.7) / 1.28 * mean_bytes)) for _ in range(BODIES)]
    return [b"\xff\xd8\xff\xe0" + draw.randbytes(size) for size in sizes]


def urls(count: int, port: int) -> list[str]:
    """What a list names: most of it at one host, some of it dead."""
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
            kind, _, number = request.split(b" ", 2)[1][1:].partition(b"/")
            self.transport.write(self.answers[int(number) % len(self.answers)] if kind == b"photo" else self.dead)
            if b"Connection: close" in request:
                self.transport.close()


async def serve(mean_bytes: int) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
    Photographs.answers = tuple(head.format(len(body)).encode() + body for body in bodies(mean_bytes))
    loop = asyncio.get_running_loop()
    port = 0
    for host in HOSTS:
        server = await loop.create_server(Photographs, host, port, backlog=512)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def running(mean_bytes: int) -> Iterator[int]:
    """The hosts in a process of their own; their port."""
    process = subprocess.Popen([sys.executable, __file__, str(mean_bytes)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
