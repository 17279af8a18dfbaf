"""Where the stand-in for the base image comes from: this machine's own mirror, in both forms apt has for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.apt_sources import VARIABLE, mirror

ONE_LINE = "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours\n"
DEB822 = """Types: deb deb-src
# http://archive.example/debian
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main
"""
SECURITY = DEB822.replace("/debian", "/security").replace("bookworm", "bookworm-security")


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def apt(folder: Path, name: str, text: str) -> Path:
    (folder / "sources.list.d").mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", ONE_LINE),
        ("sources.list", "deb http://mirror.example/debian bookworm main"),
        ("sources.list.d/a.list", "deb http://other.example/x bookworm-backports main\n" + ONE_LINE),
        ("sources.list.d/debian.sources", DEB822),
        ("sources.list.d/debian.sources", f"{SECURITY}\n{DEB822}"),
    ],
)
def test_the_mirror_is_that_of_the_machine_s_sources(tmp_path: Path, name: str, text: str) -> None:
    assert mirror("bookworm", apt(tmp_path, name, text)) == "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", f"# {ONE_LINE}"),
        ("sources.list", ONE_LINE.replace("deb ", "deb-src ")),
        ("sources.list", ONE_LINE.replace(" main contrib", " contrib")),
        ("sources.list", ONE_LINE.replace("http:", "cdrom:")),
        ("sources.list.d/debian.sources", DEB822 + "Enabled: no\n"),
        ("sources.list.d/debian.sources", SECURITY),
        ("sources.list.d/debian.sources", DEB822.replace("deb deb-src", "deb-src")),
    ],
)
def test_what_is_no_source_of_the_suite_is_none(tmp_path: Path, name: str, text: str) -> None:
    assert mirror("bookworm", apt(tmp_path, name, text)) is None


def test_a_mirror_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://named.example/debian")
    assert mirror("bookworm", apt(tmp_path, "sources.list", ONE_LINE)) == "http://named.example/debian"
