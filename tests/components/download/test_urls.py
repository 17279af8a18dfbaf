"""What is asked for of a URL, and of whom."""

import re

import pytest

from components.download import urls
from components.download.urls import Address, InvalidURL, Origin, askable, server

PLAIN = [
    "http://a.example/",
    "https://a.example:8443/b/c.jpg?x=1&y=%20",
    "http://127.0.0.1:65535/é.jpg",
    "http://127.1/a",
    "http://0177.0.0.1/a",
    "http://a.example./x",
    "http://a.example:80/x?y?z=/[1]",
    "https://a.example:443/x;y=1",
    "http://-.example/%zz",
    "http://a..example/x",
    "http://A.example/x",
    "http://a.example/x#y",
    "http://a.example/x?",
    "http://a.example",
    "http://a_b.example/x",
    "http://a.example:65536/",
    "http://a.example:0/x",
    "http://a.example:080/x",
    "http://me@a.example/x",
    "http://a.example:1@b.example/x",
    "http://a.example\\@b.example/x",
    "http://a.exa\tmple/x",
    "http:// a.example/x",
]


def told(url: str) -> tuple[Address | None, str]:
    """Of whom ``url`` asks for what, and at which server; by no memory of earlier calls."""
    server.cache_clear()
    try:
        return askable(url), server(url)
    except InvalidURL:
        return None, server(url)


@pytest.mark.parametrize("url", PLAIN)
def test_a_url_read_at_a_glance_is_the_one_read_with_care(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    glance = told(url)
    monkeypatch.setattr(urls, "_PLAIN", re.compile(r"(?!)"))
    assert glance == told(url)


def test_the_parts_of_an_address() -> None:
    assert askable("https://me:pw@[2001:DB8::1]:8443/a b?c=d#e") == Address(
        Origin("https", "2001:db8::1", 8443), "[2001:db8::1]:8443", "/a%20b?c=d"
    )
    assert askable("http://2130706433?x") == Address(Origin("http", "127.0.0.1", 80), "127.0.0.1", "/?x")


def test_an_address_is_written_as_it_is_asked_for() -> None:
    assert askable("http://me@A.example:80/a b?c#d").url == "http://a.example/a%20b?c"
