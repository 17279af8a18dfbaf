"""The Debian mirror this machine's own apt uses: the one that can be reached from here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "FEC_TEST_DEBIAN_MIRROR"
APT = Path("/etc/apt")
_ONE_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")


def mirror(suite: str, apt: Path = APT) -> str | None:
    """The URL debootstrap may fetch ``suite`` from: the variable's, else that of apt's sources; None for neither."""
    if named := os.environ.get(VARIABLE):
        return named
    for url, suites in _sources(apt):
        if suite in suites and re.match(r"https?://|file:", url):
            return url
    return None


def _sources(apt: Path) -> Iterator[tuple[str, list[str]]]:
    """The URL and the suites of each source of packages that has ``main``."""
    parts = apt / "sources.list.d"
    for path in (apt / "sources.list", *sorted(parts.glob("*.list"))):
        if path.is_file():
            yield from _one_line(path.read_text())
    for path in sorted(parts.glob("*.sources")):
        yield from _deb822(path.read_text())


def _one_line(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found and "main" in found[3].split():
            yield found[1], [found[2]]


def _deb822(text: str) -> Iterator[tuple[str, list[str]]]:
    for stanza in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = re.findall(r"^([A-Za-z-]+):((?:.*(?:\n[ \t].*)*))", lines, re.MULTILINE)
        values = {name.lower(): value.split() for name, value in fields}
        on = values.get("enabled", ["yes"]) != ["no"]
        if on and "deb" in values.get("types", []) and "main" in values.get("components", []):
            for url in values.get("uris", []):
                yield url, values.get("suites", [])
