"""Sites for the tests of the download step."""

import socket
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture
def name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of names below ``.invalid``: there is none, but of ``*.busy.invalid``, of which they cannot tell now.

    What glibc makes of NXDOMAIN, and of SERVFAIL or no answer (getaddrinfo(3)); all other names go the usual way.
    """
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if not str(host).endswith(".invalid"):
            return real(host, *rest, **more)
        if str(host).endswith(".busy.invalid"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
