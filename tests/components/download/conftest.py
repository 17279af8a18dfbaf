"""Sites for the tests of the download step."""

from collections.abc import Iterator

import pytest

from components.download import pace, queues, shared, weather
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
    server.robots.clear()
    server.default = None
    return server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off and pauses a hundredth as long."""
    for module, name in (
        (queues, "BACKOFF_BASE"),
        (shared, "FAILURE_PAUSE"),
        (pace, "SHORT_REST"),
        (weather, "TRIAL"),
        (weather, "SETTLING"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) / 100)
