"""The demo's web server: on this machine only, under several addresses, as badly behaved as the scenario says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from fec.layout import SPLITS
from pipelines.demo.scenario import Manner, Page, Scenario

# Linux answers on all of 127.0.0.0/8; where only 127.0.0.1 exists, every host is that one.
_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(1, 6))
_NOBODY = "127.0.0.9"
_MOVED = "/moved"
_PIECES = 8
_PAUSE = 0.1

_APOLOGY = b"<!doctype html><title>Not here</title><p>This photo is no longer available."


@dataclass(frozen=True)
class Request:
    """A line of the access log."""

    address: str
    path: str
    status: int


@dataclass
class Site:
    """A running server. ``requests`` is its access log, in the order in which it was done with them."""

    scenario: Scenario
    origins: tuple[str, ...]
    requests: list[Request] = field(default_factory=list)
    _under_way: set[int] = field(default_factory=set)

    @property
    def idle(self) -> bool:
        """Whether it is done with every request that has come, so that the log is whole."""
        return not self._under_way

    def write_csvs(self, folder: Path) -> dict[str, Path]:
        """Write the annotations of both splits as FEC publishes them; gives their paths by split."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {split: folder / f"faceexp-comparison-demo-{split}.csv" for split in SPLITS}
        for split, path in paths.items():
            path.write_text(self.scenario.csv(split, self.origins))
        return paths

    def answers(self) -> Counter[str]:
        """How often each picture was really handed over."""
        return Counter(request.path for request in self.requests if request.status == 200)


@contextlib.contextmanager
def serve(scenario: Scenario, port: int = 0) -> Iterator[Site]:
    """Serve ``scenario`` on loopback while the context lasts; ``port`` 0 takes any free one."""
    pages = {page.path: page for page in scenario.pages}
    seen: Counter[str] = Counter()
    site = Site(scenario, ())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            path = unquote(self.path)
            moved = path.startswith(_MOVED + "/")
            page = pages.get(path.removeprefix(_MOVED))
            site._under_way.add(id(self))
            try:
                status = _answer(self, page, seen, moved)
                site.requests.append(Request(self.headers.get("Host", ""), path, status))
            finally:
                site._under_way.discard(id(self))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with contextlib.ExitStack() as stack:
        addresses: list[str] = []
        for address in _ADDRESSES:
            try:
                server = _Server((address, port), Handler)
            except OSError:
                if not addresses:
                    raise
                continue
            port = server.server_address[1]
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            addresses.append(address)
        live = [f"http://{addresses[number % len(addresses)]}:{port}" for number in range(len(_ADDRESSES))]
        site.origins = (*live, _deserted(port))
        yield site


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no trouble."""


def _answer(handler: BaseHTTPRequestHandler, page: Page | None, seen: Counter[str], moved: bool) -> int:
    if page is None or page.manner is Manner.GONE:
        return _send(handler, 404, "text/plain", b"no such picture\n")
    seen[page.path] += 1
    if page.manner is Manner.BROKEN:
        return _send(handler, 500, "text/plain", b"out of order\n")
    if page.manner is Manner.FLAKY and seen[page.path] == 1:
        return _send(handler, 503, "text/plain", b"try again\n")
    if page.manner is Manner.APOLOGY:
        return _send(handler, 200, "text/html", _APOLOGY)
    if page.manner is Manner.MOVED and not moved:
        handler.send_response(302)
        handler.send_header("Location", quote(_MOVED + page.path))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return 302
    pieces = _PIECES if page.manner is Manner.SLOW else 1
    return _send(handler, 200, page.photograph.content_type, page.photograph.data, pieces)


def _send(handler: BaseHTTPRequestHandler, status: int, content_type: str, body: bytes, pieces: int = 1) -> int:
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    step = -(-len(body) // pieces)
    for start in range(0, len(body), step):
        if pieces > 1:
            time.sleep(_PAUSE)
        handler.wfile.write(body[start : start + step])
    return status


def _deserted(port: int) -> str:
    """The origin of a host where nothing listens."""
    with socket.socket() as probe:
        try:
            probe.bind((_NOBODY, port))
            return f"http://{_NOBODY}:{port}"
        except OSError:  # no such address here: a port of 127.0.0.1 that is closed
            probe.bind((_ADDRESSES[0], 0))
            return f"http://{_ADDRESSES[0]}:{probe.getsockname()[1]}"
