"""Which odd answers the download step, aiohttp and libcurl take, and whose picture they take them for."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

BODY: Final = b"\xff\xd8\xff\xe0" + bytes(3000)
LENGTH: Final = b"Content-Length: %d\r\n" % len(BODY)
CHUNKS: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
ASKED: Final = 20
# By name: what stands between the status line and the empty line, and what comes behind it.
ANSWERS: Final[dict[str, tuple[bytes, bytes]]] = {
    "as it should be": (LENGTH, BODY),
    "two equal lengths": (LENGTH + LENGTH, BODY),
    "a length beside chunks": (LENGTH + b"Transfer-Encoding: chunked\r\n", CHUNKS),
    "bytes after the body": (LENGTH, BODY + b"more"),
    "a line without a colon": (b"what is this\r\n" + LENGTH, BODY),
    "a header of 20 KB": (LENGTH + b"Set-Cookie: " + b"a" * 20_000 + b"\r\n", BODY),
    "two lengths that differ": (LENGTH + b"Content-Length: 5\r\n", BODY),
}
UNASKED: Final = "an answer nobody asked for"
Fetch = Callable[[str], bytes | None]


def _answer(connection: socket.socket) -> None:
    seen = b""
    while True:
        while b"\r\n\r\n" not in seen:
            came = connection.recv(65536)
            if not came:
                return
            seen += came
        request, _, seen = seen.partition(b"\r\n\r\n")
        kind, _, number = request.split()[1][1:].partition(b"/")
        if kind == b"unasked":
            mine = BODY + number
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(mine) + mine)
            time.sleep(0.005)
            connection.sendall(head % len(BODY) + BODY)
        else:
            lines, body = list(ANSWERS.values())[int(kind)]
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + body)


def _serve(listening: socket.socket) -> None:
    def one(connection: socket.socket) -> None:
        with connection:
            try:
                _answer(connection)
            except OSError:
                return

    while True:
        threading.Thread(target=one, args=(listening.accept()[0],), daemon=True).start()


async def _with_step(urls: list[str]) -> list[bytes | None]:
    from components.download.addresses import networks
    from components.download.answers import Limits
    from components.download.fetch import fetcher

    found = []
    async with fetcher(networks(["127.0.0.0/8"]), Limits(3, 3, 1 << 20, 3), "benchmark", 4) as client:
        for url in urls:
            found.append((await client.fetch(url)).data)
            await asyncio.sleep(0.02)
    return found


async def _with_aiohttp(urls: list[str]) -> list[bytes | None]:
    import aiohttp

    found: list[bytes | None] = []
    timeout = aiohttp.ClientTimeout(total=3)
    async with aiohttp.ClientSession(timeout=timeout, max_line_size=65_536, max_field_size=65_536) as session:
        for url in urls:
            try:
                async with session.get(url) as answer:
                    found.append(await answer.read())
            except aiohttp.ClientError:
                found.append(None)
            await asyncio.sleep(0.02)
    return found


def _with_pycurl(urls: list[str]) -> list[bytes | None]:
    import pycurl

    handle: Any = pycurl.Curl()
    handle.setopt(pycurl.TIMEOUT, 3)
    found: list[bytes | None] = []
    for url in urls:
        body = bytearray()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEFUNCTION, body.extend)
        try:
            handle.perform()
            found.append(bytes(body))
        except pycurl.error:
            found.append(None)
        time.sleep(0.02)
    return found


def show() -> None:
    """Print a row an answer and a column a client."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listening,), daemon=True).start()
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    clients: dict[str, Callable[[list[str]], list[bytes | None]]] = {
        "step": lambda urls: asyncio.run(_with_step(urls)),
        "aiohttp": lambda urls: asyncio.run(_with_aiohttp(urls)),
        "pycurl": _with_pycurl,
    }
    print(f"{'':30}" + "".join(f"{name:>14}" for name in clients))
    for number, answer in enumerate(ANSWERS):
        got = [fetch([f"{base}/{number}/0"])[0] for fetch in clients.values()]
        print(f"{answer:30}" + "".join(f"{'taken' if data == BODY else 'refused':>14}" for data in got))
    urls = [f"{base}/unasked/{number}" for number in range(ASKED)]
    row = []
    for fetch in clients.values():
        wrong = sum(data is not None and data != BODY + str(number).encode() for number, data in enumerate(fetch(urls)))
        row.append(f"{wrong}/{ASKED} wrong")
    print(f"{UNASKED:30}" + "".join(f"{text:>14}" for text in row))
