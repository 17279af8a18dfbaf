"""The pages in a real browser: what a person does, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipelines.browse.filters import Filter
from pipelines.browse.index import Index
from tests.browser import WIDTHS, beyond_the_window, chromium, findings, needs_chromium, shown

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def face(index: Index) -> str:
    """The path of a face with triplets."""
    found = index.search(Filter.of({"outcome": "ok", "sort": "triplets"})).faces[0]
    return f"/face/{found['split']}/{found['face_id']}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page_of", "width", "dark"), [("/", 390, True), ("/", 1280, False), ("face", 1280, True), ("/map", 390, False)]
)
def test_axe_finds_nothing(browser: Browser, address: str, face: str, page_of: str, width: int, dark: bool) -> None:
    with shown(browser, address + (face if page_of == "face" else page_of), width=width, dark=dark) as page:
        assert findings(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits(browser: Browser, address: str, face: str, width: int) -> None:
    for path in ("/", face, "/map", "/photograph"):
        with shown(browser, address + path, width=width) as page:
            assert beyond_the_window(page) <= 0, path


def test_results_follow_the_filters(browser: Browser, address: str, index: Index) -> None:
    expected = index.search(Filter.of({"outcome": "no_face", "split": "train"})).total
    with shown(browser, address) as page:
        page.get_by_label("Outcome of the face").select_option("no_face")
        page.get_by_label("Split").select_option("train")
        expect(page.locator("#count b")).to_have_text(str(expected))
        expect(page).to_have_url(f"{address}/?outcome=no_face&split=train")
        page.reload()
        expect(page.locator("#count b")).to_have_text(str(expected))


def test_the_filters_work_without_any_script(browser: Browser, address: str, index: Index) -> None:
    expected = index.search(Filter.of({"text": "/eval/"})).total
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("URL, id or detail").fill("/eval/")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#count b")).to_have_text(str(expected))
    context.close()


def test_the_keyboard_leads_from_a_filter_to_a_face_and_its_triplets(browser: Browser, address: str) -> None:
    with shown(browser, address) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.get_by_label("URL, id or detail").focus()
        page.keyboard.type("/train/")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/?text=%2Ftrain%2F")
        first = page.locator("#results .tile").first
        for _ in range(30):
            page.keyboard.press("Tab")
            if first.evaluate("one => one === document.activeElement"):
                break
        expect(first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Its triplets")).to_be_visible()


def test_a_face_is_shown_with_its_boxes_and_what_is_near(browser: Browser, address: str, face: str) -> None:
    with shown(browser, address + face) as page:
        assert page.locator(".photograph rect.this").count() == 1
        page.wait_for_function("document.querySelector('.photograph img').naturalWidth > 100")
        box = page.locator(".photograph rect.this").bounding_box()
        picture = page.locator(".photograph img").bounding_box()
        assert box is not None
        assert picture is not None
        assert picture["x"] <= box["x"] and box["x"] + box["width"] <= picture["x"] + picture["width"]
        assert page.locator("h2:has-text('Nearest') ~ .tiles .tile").count() > 3
        assert page.locator(".triplet").count() > 0


def test_the_map_leads_to_a_face(browser: Browser, address: str) -> None:
    with shown(browser, f"{address}/map") as page:
        page.get_by_role("link", name="Nearer").click()
        expect(page.get_by_text("2 times as large")).to_be_visible()
        page.locator(".map a").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Its triplets")).to_be_visible()


@pytest.mark.timeout(120)
def test_a_photograph_of_ones_own_finds_its_neighbours(browser: Browser, address: str, photograph: Path) -> None:
    with shown(browser, f"{address}/photograph") as page:
        page.get_by_label("Drop a photograph here").set_input_files(photograph)
        expect(page.locator("#said")).to_have_text("Done.", timeout=90_000)
        assert page.locator(".own .tile").count() == 13
        assert findings(page) == []


def test_a_file_that_is_dropped_and_is_no_picture_is_said_to_be_none(browser: Browser, address: str) -> None:
    said: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/photograph")
    page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(["no picture"], "x.jpg"));
            document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer}));
        }"""
    )
    expect(page.locator("#own .bad")).to_contain_text("not a picture")
    assert said == []
    page.close()
