"""WebP: the canvas is held against the limit before Pillow, which allocates it on opening the file, sees it."""

from __future__ import annotations

from fec.codecs import check_size


def check(data: bytes, max_pixels: int) -> None:
    """Raise TooManyPixels for a WebP whose header announces more than allowed; other bytes pass."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    check_size(width, height, "WEBP", max_pixels)
