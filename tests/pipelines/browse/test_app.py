"""Whom the pages answer, and what they do with what is hostile."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from fec.storage import Storage
from pipelines.browse import app as app_module
from pipelines.browse.app import application
from pipelines.browse.filters import Filter
from pipelines.browse.guard import HEADERS
from pipelines.browse.index import Found, Index
from pipelines.browse.space import Space
from pipelines.cli import main
from tests.pipelines.browse.conftest import serving

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"


def ask(
    address: str, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.references: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "evil.example"}, 400),
        ({"Host": "127.0.0.1.evil.example:80"}, 400),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    ],
    ids=str,
)
def test_only_this_machines_own_pages_are_answered(address: str, headers: dict[str, str], status: int) -> None:
    assert ask(address, "/", headers=headers)[0] == status


def test_another_site_cannot_send_a_photograph(address: str) -> None:
    assert ask(address, "/photograph", "POST", b"x", {"Origin": "https://evil.example"})[0] == 403


@pytest.mark.parametrize("path", ["/", "/map", "/photograph", "/results?text=x", "/face/train/nobody", "/no-such-page"])
def test_every_page_may_load_only_what_is_its_own(address: str, path: str) -> None:
    _, headers, body = ask(address, path)
    for name, value in HEADERS.items():
        assert headers[name.lower()] == value
    references = Tags(body.decode()).references
    assert all(one.startswith(("/", "#", "data:,")) and not one.startswith("//") for one in references), references


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_of_the_frameworks_own_is_served(address: str, path: str) -> None:
    assert ask(address, path)[0] == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/face/train/nobody", 404),
        ("/face/../../etc/passwd", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/%2e%2e/app.py", 404),
        ("/crop/train/..%2f..%2fplan.jpg", 404),
        ("/crop/train/nobody.jpg", 200),
        ("/?page=x", 422),
        ("/?sure_from=7", 422),
        ("/map?zoom=0", 422),
        ("/map?x=nan", 422),
        ("/map?zoom=inf", 422),
    ],
)
def test_what_is_not_there_is_said_to_be_so(address: str, path: str, status: int) -> None:
    found, headers, _ = ask(address, path)
    assert found == status
    if status == 200:
        assert headers["content-type"] == "image/svg+xml"


def test_hostile_text_stays_text(storage: Storage, index: Index, space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    face = index.search(Filter.of({"outcome": "ok"})).faces[0]
    whole = index.face(face["split"], face["face_id"])
    assert whole is not None

    def pages(text: str) -> list[list[str]]:
        told = dict.fromkeys(("url", "host", "detail", "image_detail", "final_url", "outcome"), text)
        monkeypatch.setattr(Index, "face", lambda *_: {**whole, **told})
        found = [{**face, "host": text, "outcome": text, "detail": text}]
        monkeypatch.setattr(Index, "search", lambda *_: Found(found, 1))
        with serving(application(storage, index, space)) as url:
            paths = [f"/face/{face['split']}/{face['face_id']}", f"/?text={text.encode().hex()}", "/results"]
            return [Tags(ask(url, path)[2].decode()).found for path in paths]

    assert pages(HOSTILE) == pages("harmless")


def test_the_picture_of_a_face_is_a_jpeg_made_here(address: str, index: Index) -> None:
    face = index.search(Filter.of({"outcome": "ok"})).faces[0]
    for kind in ("crop", "photograph"):
        status, headers, body = ask(address, f"/{kind}/{face['split']}/{face['face_id']}.jpg")
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert body.startswith(b"\xff\xd8")


@pytest.mark.parametrize("outcome", ["no_image", "unreadable"])
def test_what_cannot_be_decoded_is_not_decoded_again(address: str, index: Index, outcome: str) -> None:
    face = index.search(Filter.of({"outcome": outcome})).faces[0]
    _, headers, _ = ask(address, f"/photograph/{face['split']}/{face['face_id']}.jpg")
    assert headers["content-type"] == "image/svg+xml"


def test_a_rejected_crop_can_be_seen(address: str, index: Index) -> None:
    face = index.search(Filter.of({"outcome": "no_face"})).faces[0]
    _, headers, _ = ask(address, f"/crop/{face['split']}/{face['face_id']}.jpg")
    assert headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [(b"no picture", 422, "not a picture"), (b"", 422, "not a picture"), (b"x" * 2000, 413, "larger than")],
)
def test_an_upload_is_bounded_and_may_be_anything(
    address: str, monkeypatch: pytest.MonkeyPatch, data: bytes, status: int, said: str
) -> None:
    monkeypatch.setattr(app_module, "MAX_UPLOAD", 1000)
    found, _, body = ask(address, "/photograph", "POST", data)
    assert found == status
    assert said in body.decode()


def test_without_a_run_there_is_no_map(storage: Storage, index: Index) -> None:
    with serving(application(storage, index, None)) as url:
        assert ask(url, "/map")[0] == 404
        body = ask(url, "/")[2].decode()
        assert "/map" not in body
        assert "Model&#39;s answer" not in body


def test_the_command_serves_on_loopback_until_it_is_told_to_end(storage: Storage) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "browse", storage.root, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"(http://127\.0\.0\.1:\d+)/", line)
        assert match is not None, line
        assert ask(match[1], "/")[0] == 200
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.returncode == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--port", "99999"], "expected 0 to 65535"), (["--run", "nobody"], "has no embeddings")],
)
def test_a_users_mistake_is_one_line(
    storage: Storage, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["browse", storage.root, *options])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_said_to_be(storage: Storage, app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(app) as url, pytest.raises(SystemExit) as ended:
        main(["browse", storage.root, "--port", url.rpartition(":")[2]])
    assert ended.value.code == 2
    assert "give another" in capsys.readouterr().err


def test_what_is_missing_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        main(["browse", str(tmp_path)])
    assert "pip install 'fec[browse]'" in capsys.readouterr().err
