"""Sites for the tests of the download step."""

from collections.abc import Iterator

import pytest

from components.download import crawl
from tests.components.download.site import Site, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serve() as running:
        yield running


@pytest.fixture
def site(server: Site) -> Site:
    """Empty, with an empty access log."""
    server.pages.clear()
    server.log.clear()
    server.default = None
    return server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off and pauses a hundredth as long."""
    for name in ("BACKOFF_BASE", "FAILURE_PAUSE"):
        monkeypatch.setattr(crawl, name, getattr(crawl, name) / 100)
