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
