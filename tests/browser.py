"""A page in a real Chromium: what it says on its console, whether axe finds fault with it, whether it fits its window.

Debian's ``chromium`` is driven by Playwright; nothing is downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium")
# A browser that runs as root has no sandbox; it sees nothing but pages made here.
_FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
WIDTHS: Final = (390, 1280, 1920)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def shown(browser: Browser, url: str, *, width: int = 1280, dark: bool = False) -> Iterator[Page]:
    """``url`` in a window of ``width`` pixels; AssertionError at the end if the console had anything to say."""
    context: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "bypass_csp": True}  # or axe cannot run
    page = browser.new_page(color_scheme="dark" if dark else "light", **context)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(url)
        yield page
        assert said == []
    finally:
        page.close()


def findings(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands: the rule, and the first element it is about."""
    violations = Axe().run(page).response["violations"]
    return [f"{found['id']}: {found['nodes'][0]['html'][:200]}" for found in violations]


def beyond_the_window(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
