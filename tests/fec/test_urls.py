"""What the host of a URL is, for all that ask."""

import pytest

from fec.urls import host_of, web_address


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Photos.Example/a.jpg", "photos.example"),
        ("https://user:secret@photos.example:8080/", "photos.example"),
        ("http://[2001:DB8::1]:80/a", "2001:db8::1"),
        ("ftp://photos.example/a.jpg", ""),
        ("//photos.example/a.jpg", ""),
        ("http:///a.jpg", ""),
        ("http://[::1/a.jpg", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


def test_what_has_no_host_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="not an http or https URL with a host"):
        web_address("mailto:someone@photos.example")


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/1.jpg",
        "https://a-b.c1.test",
        "http://a.test:80/1",
        "http://A.test/1",
        "http://user@a.test/1",
        "http://a.test?x",
        "http://a.test#x",
        "http://a.test\\\\b/1",
        "http://a.te\tst/1",
        "http://a.test/\n1@b",
        "http://a.test/[x",
        "http:///x",
        "http://-./x",
        "ftp://a.test/x",
    ],
)
def test_the_quick_way_to_a_host_gives_what_the_whole_way_gives(url: str) -> None:
    try:
        whole = web_address(url).hostname or ""
    except ValueError:
        whole = ""
    assert host_of(url) == whole
