"""Who may ask, and what a page may do: this machine's browser, for its own pages, and nothing but them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

# Another site's name that is made to lead here (DNS rebinding) is none of these.
HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def guard(app: FastAPI) -> None:
    """Refuse requests under another host's name, and what another site's page sends; limit what ours may load."""

    @app.middleware("http")
    async def checked(request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Response:
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        foreign = site not in ("none", "same-origin") and request.headers.get("sec-fetch-mode") != "navigate"
        response: Response
        if not own or foreign:
            response = PlainTextResponse("this is for its own pages only", 403)
        else:
            response = await ask(request)
        response.headers.update(HEADERS)
        return response

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
