"""The report in a real browser: it fits, it can be read, printed and gone through by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from components.evaluate.report import SECTIONS
from components.evaluate.step import Parameters, run
from tests.browser import WIDTHS, beyond_the_window, chromium, findings, needs_chromium, shown
from tests.components.evaluate.conftest import RUN

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def url(finished_root: Path) -> str:
    return f"file://{run(Parameters(root=str(finished_root), run=RUN))}"


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_axe_finds_nothing(browser: Browser, url: str, width: int, dark: bool) -> None:
    with shown(browser, url, width=width, dark=dark) as page:
        assert findings(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits(browser: Browser, url: str, width: int) -> None:
    with shown(browser, url, width=width) as page:
        assert beyond_the_window(page) == 0
        outside = page.evaluate(
            """() => [...document.querySelectorAll('.card:not(.scroll)')].filter(card =>
                [...card.querySelectorAll('svg, img, .bar, table')].some(one =>
                    one.getBoundingClientRect().right > card.getBoundingClientRect().right)).length"""
        )
        assert outside == 0


def test_the_headline_has_no_gap(browser: Browser, url: str) -> None:
    with shown(browser, url) as page:
        tops = page.evaluate("[...document.querySelectorAll('.headline > div')].map(one => one.offsetTop)")
        assert len(set(tops[1:])) == 1


def test_every_section_has_an_anchor_that_the_contents_name(browser: Browser, url: str) -> None:
    with shown(browser, url) as page:
        assert page.evaluate("[...document.querySelectorAll('h2')].map(one => one.id)") == list(SECTIONS)
        links = page.evaluate("[...document.querySelectorAll('nav a')].map(one => one.getAttribute('href'))")
        assert links == [f"#{name}" for name in SECTIONS]


def test_the_keyboard_leads_from_the_contents_to_a_section(browser: Browser, url: str) -> None:
    with shown(browser, url) as page:
        for _ in SECTIONS:
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('nav a:focus-visible')")
        page.keyboard.press("Enter")
        page.wait_for_function("location.hash === '#provenance'")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#provenance"


def test_pictures_are_told_apart_by_their_text(browser: Browser, url: str) -> None:
    with shown(browser, url) as page:
        texts = page.evaluate("[...document.querySelectorAll('.crops img')].map(one => one.alt)")
        assert len(set(texts)) == len(texts) > 10


def test_the_map_can_be_scrolled_by_keyboard_where_it_is_too_wide(browser: Browser, url: str) -> None:
    with shown(browser, url, width=390) as page:
        page.locator(".scroll").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.scroll').scrollLeft > 0")


def test_bars_are_printed(browser: Browser, url: str, tmp_path: Path) -> None:
    with shown(browser, url) as page:
        assert page.evaluate("getComputedStyle(document.querySelector('.bar')).printColorAdjust") == "economy"
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('.bar')).printColorAdjust") == "exact"
        assert page.evaluate("getComputedStyle(document.querySelector('h2')).breakAfter") == "avoid"
        assert page.evaluate("getComputedStyle(document.querySelector('h2'), '::after').height") == "200px"
        assert page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")


def test_a_dark_browser_prints_on_white(browser: Browser, url: str) -> None:
    with shown(browser, url, dark=True) as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
