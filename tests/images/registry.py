"""A registry on loopback that takes what an engine pushes: the part of the OCI distribution API a push uses.

It keeps every blob's bytes only as long as it takes to hold them against their digest, and manifests whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Registry:
    """What was pushed: the digests of blobs, and manifests by ``NAME:TAG``."""

    address: str = ""
    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry
    uploads: dict[str, bytes]

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        found = re.fullmatch(r"/v2/.+/blobs/(sha256:[0-9a-f]{64})", self.path)
        self._answer(200 if found and found[1] in self.registry.blobs else 404)

    def do_POST(self) -> None:
        self._body()
        path = f"{urlsplit(self.path).path}{len(self.uploads)}"
        self.uploads[path] = b""
        self._answer(202, Location=path)

    def do_PATCH(self) -> None:
        path = urlsplit(self.path).path
        self.uploads[path] += self._body()
        self._answer(202, Location=path, Range=f"0-{len(self.uploads[path]) - 1}")

    def do_PUT(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        body = self.uploads.pop(path, b"") + self._body()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if manifest := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            self.registry.manifests[f"{manifest[1]}:{manifest[2]}"] = json.loads(body)
        elif query.get("digest") == [digest]:
            self.registry.blobs.add(digest)
        else:
            self._answer(400)
            return
        self._answer(201, **{"Docker-Content-Digest": digest})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "Docker-Distribution-Api-Version": "registry/2.0",
            "Content-Length": "0",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Registry]:
    """A registry while the context lasts; engines speak plain HTTP to one on loopback."""
    registry = Registry()
    handler = type("Handler", (_Handler,), {"registry": registry, "uploads": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
