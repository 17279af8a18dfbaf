"""What the emulator cannot show: preconditions, refusals and the lack of credentials, as the real service answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from fec.errors import ConfigurationError, RunFailed
from fec.storage import open_storage
from fec.storage.remote import READS

# What the service says of b"content": its CRC32C, big-endian, in base64.
CRC32C_OF_CONTENT = "Ya91Mw=="


class Service(BaseHTTPRequestHandler):
    """As much of the JSON API as listing and uploading need, with preconditions kept."""

    stored: dict[str, bytes]
    content: Iterator[bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "/b/forbidden/" in self.path:
            self._answer(403, {"error": {"message": "storage.objects.list access denied"}})
        elif "alt=media" in self.path:
            data = next(self.content)
            self.send_response(200)
            self.send_header("X-Goog-Hash", f"crc32c={CRC32C_OF_CONTENT}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self._answer(200, {"items": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = json.loads(body.split(b"\r\n\r\n")[1].split(b"\r\n")[0])["name"]
        condition = parse_qs(urlsplit(self.path).query).get("ifGenerationMatch")
        if condition == ["0"] and name in self.stored:
            self._answer(412, {"error": {"message": "conditionNotMet"}})
            return
        self.stored[name] = body.split(b"\r\n\r\n")[2].rsplit(b"\r\n", 1)[0]
        self._answer(200, {"name": name})

    def _answer(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """gs:// means a server that keeps preconditions; what it has stored."""
    monkeypatch.setattr(Service, "stored", {}, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield Service.stored
    server.shutdown()
    server.server_close()


def test_a_file_present_is_not_put_again(service: dict[str, bytes]) -> None:
    storage = open_storage("gs://bucket/root")
    assert storage.write_if_absent("once", b"first") is True
    assert storage.write_if_absent("once", b"second") is False
    assert service == {"root/once": b"first"}
    storage.write("once", b"third")
    assert service == {"root/once": b"third"}


@pytest.mark.parametrize("spoiled", [2, 3])
def test_what_comes_spoiled_is_read_again_and_then_said_in_one_line(
    service: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, spoiled: int
) -> None:
    storage = open_storage("gs://bucket/root")

    def copied() -> bytes:
        with storage.local_copy("a") as copy:
            return copy.read_bytes()

    reads: list[Callable[[], bytes]] = [lambda: storage.read("a"), copied]
    for read in reads:
        monkeypatch.setattr(Service, "content", iter([b"flipped"] * spoiled + [b"content"]), raising=False)
        if spoiled < READS:
            assert read() == b"content"
        else:
            with pytest.raises(RunFailed, match=r"gs://bucket/root/a: came spoiled 3 times \(Checksum mismatch"):
                read()


@pytest.mark.usefixtures("service")
def test_a_bucket_one_may_not_use_is_said_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match=r"gs://forbidden/root: not allowed .*storage\.objectUser"):
        open_storage("gs://forbidden/root")


def test_missing_credentials_are_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match="no usable Google credentials"):
        open_storage("gs://bucket/root")
