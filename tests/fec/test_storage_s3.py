"""``s3://`` as a storage root, against a server that spoils what it sends."""

import base64
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from threading import Thread

import pytest

from fec.errors import RunFailed
from fec.storage import open_storage
from fec.storage.remote import READS

CONTENT = b"content"
CHECKSUM = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()
EMPTY = b"<?xml version='1.0'?><ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"


class Service(BaseHTTPRequestHandler):
    """One object, sent with the checksum of CONTENT; what it is each time ``bodies`` says."""

    protocol_version = "HTTP/1.1"
    bodies: Iterator[bytes]

    def do_HEAD(self) -> None:
        self._answer(CONTENT)

    def do_GET(self) -> None:
        self._answer(EMPTY if "list-type" in self.path else next(self.bodies))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"a"')
        if body is not EMPTY:
            self.send_header("x-amz-checksum-crc32", CHECKSUM)
            self.send_header("x-amz-checksum-type", "FULL_OBJECT")
        self.send_header("Content-Length", str(len(CONTENT) if body is not EMPTY else len(EMPTY)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = len(body) < len(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def service(use_s3: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """s3:// means a server that spoils what it sends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("body", [b"flipped", b"cut"])
@pytest.mark.parametrize("how", ["read", "copied"])
def test_what_comes_spoiled_is_read_again_and_then_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, how: str, body: bytes
) -> None:
    storage = open_storage("s3://bucket/root")

    def read() -> bytes:
        if how == "read":
            return storage.read("a")
        with storage.local_copy("a") as copy:
            return copy.read_bytes()

    monkeypatch.setattr(Service, "bodies", chain([body] * (READS - 1), repeat(CONTENT)), raising=False)
    assert read() == CONTENT
    monkeypatch.setattr(Service, "bodies", repeat(body), raising=False)
    with pytest.raises(RunFailed, match=r"^s3://bucket/root/a: storage failed \([^\n]+\); try again later$"):
        read()
