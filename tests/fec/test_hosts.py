"""The host key: what one rate limit covers."""

import pytest

from fec.hosts import host_key


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://farm1.staticflickr.com/2/3_o.jpg", "staticflickr.com"),
        ("https://c2.staticflickr.com:8443/2/3_o.jpg", "staticflickr.com"),
        ("https://LIVE.StaticFlickr.COM./x", "staticflickr.com"),
        ("http://anna:secret@farm1.staticflickr.com/", "staticflickr.com"),
        ("http://news.bbc.co.uk/1.jpg", "bbc.co.uk"),
        ("http://co.uk/1.jpg", "co.uk"),
        ("http://anna.blogspot.com/1.jpg", "blogspot.com"),
        ("http://bert.wordpress.com/1.jpg", "wordpress.com"),
        ("http://68.media.tumblr.com/1.jpg", "tumblr.com"),
        ("http://bucket.s3.amazonaws.com/1.jpg", "amazonaws.com"),
        ("http://a.b.example.notatld/1.jpg", "example.notatld"),
        ("http://localhost:8000/1.jpg", "localhost"),
        ("http://127.0.0.3:8000/1.jpg", "127.0.0.3"),
        ("http://[2001:DB8:0::1]/1.jpg", "2001:db8::1"),
        ("http://www.bücher.de/1.jpg", "xn--bcher-kva.de"),
        ("http://www.xn--bcher-kva.de/1.jpg", "xn--bcher-kva.de"),
        ("http://my_photos.example.com/1.jpg", "example.com"),
        ("ftp://example.com/1.jpg", "invalid"),
        ("//example.com/1.jpg", "invalid"),
        ("example.com/1.jpg", "invalid"),
        ("http:///1.jpg", "invalid"),
        ("http://[::1/1.jpg", "invalid"),
        ("http://exa mple.com/1.jpg", "invalid"),
        ("http://a..b.com/1.jpg", "invalid"),
        ("http://" + "a" * 300 + ".com/", "invalid"),
        ("http://%66lickr.com/1.jpg", "invalid"),
        ("", "invalid"),
    ],
)
def test_host_key(url: str, key: str) -> None:
    assert host_key(url) == key
