"""The server of ``fec browse``: on loopback, by one process, until it is told to end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from fec.errors import ConfigurationError

HOST: Final = "127.0.0.1"


def listening(port: int) -> socket.socket:
    """A socket on loopback; ConfigurationError for a port that is taken. 0: any."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except OSError as error:
        found.close()
        raise ConfigurationError(f"--port {port}: {error.strerror}; give another, or 0 for any") from None
    return found


def serve(app: Any, on: socket.socket, started: Callable[[], None]) -> None:
    """Answer requests on the socket until SIGINT or SIGTERM; ``started`` is called when it does."""
    Server(app, started).run(sockets=[on])


class Server(uvicorn.Server):
    """uvicorn's, that calls ``started`` as soon as it answers, and says nothing of single requests."""

    def __init__(self, app: Any, started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        )
        self._say_so = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._say_so()
