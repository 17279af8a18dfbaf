"""How fast ``fec browse`` is on a root of the whole dataset's size: python benchmarks/browse.py [--root ROOT].

Without a root one is made (benchmarks/full_size.py). The pages are driven in Debian's chromium: the first view is from
the request to all pictures in the window, a filter from the choice to the new faces. Memory is the largest that the
server had, all of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import Locator, Page, sync_playwright

from benchmarks.full_size import make

ROUNDS: Final = 5
# By what they are called here: the field of the form, and what is chosen.
FILTERS: Final = {
    "outcome": ("outcome", "low_confidence"),
    "host": ("host", "host0.example"),
    "type of a triplet": ("type", "2"),
    "model's answer": ("answer", "wrong"),
}
_SEEN: Final = """() => document.querySelector('.tile, .map a') && [...document.images].filter(one =>
    one.getBoundingClientRect().top < innerHeight).every(one => one.complete && one.naturalWidth > 0)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--root", help="a root that is there already (default: one is made, which takes minutes)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size of the one that is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.root:
            make(Path(folder, "root"), options.scale)
        measure(options.root or str(Path(folder, "root")))


def measure(root: str) -> None:
    """Print what a person waits for, and what it takes."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    command = [sys.executable, "-m", "pipelines.cli", "browse", root, "--port", "0"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        match = re.search(r"(.*): (http://[\d.:]+)/", said)
        assert match is not None, said
        print(f"{match[1]}\nfrom the command to the first answer {time.perf_counter() - start:16.1f} s")
        try:
            in_a_browser(match[2])
            status = Path(f"/proc/{server.pid}/status").read_text()
            memory = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]
            print(f"largest memory of the server {memory / 1e6:24.2f} GB")
        finally:
            server.terminate()


def in_a_browser(address: str) -> None:
    """The times that somebody at a browser sees, the median of ROUNDS."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        for name, path in (("first view", "/"), ("map", "/map"), ("map, 8 times as large", "/map?zoom=8")):
            print_times(name, [viewed(browser.new_page(), address + path) for _ in range(ROUNDS)])
        page = browser.new_page()
        page.goto(address)
        first = page.locator(".tile").first.get_attribute("href")
        faces = [viewed(browser.new_page(), f"{address}{first}") for _ in range(ROUNDS)]
        print_times("a face with its triplets", faces)
        page.goto(address)
        for name, (field, value) in FILTERS.items():
            print_times(f"filter by {name}", [changed(page, field, value) for _ in range(ROUNDS)])
        browser.close()


def viewed(page: Page, url: str) -> float:
    """Seconds until all in the window is there, in a page of its own."""
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(_SEEN, polling=10)
    took = time.perf_counter() - start
    page.close()
    return took


def changed(page: Page, field: str, value: str) -> float:
    """Seconds from a choice to its faces; the choice is taken back afterwards."""
    choice = page.locator(f"[name={field}]")
    start = time.perf_counter()
    _choose(page, choice, value)
    took = time.perf_counter() - start
    _choose(page, choice, "")
    return took


def _choose(page: Page, choice: Locator, value: str) -> None:
    before = page.locator("#count").inner_text()
    choice.select_option(value)
    page.wait_for_function("before => document.getElementById('count').innerText !== before", arg=before, polling=5)


def print_times(name: str, seconds: list[float]) -> None:
    """The median and the slowest."""
    print(f"{name:<36} {1000 * statistics.median(seconds):10.0f} ms, slowest {1000 * max(seconds):6.0f}")


if __name__ == "__main__":
    main()
