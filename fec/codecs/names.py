"""What bytes are by their first ones: the formats we decode, and by name those that we do not."""

from __future__ import annotations

from typing import Final

_BRANDS: Final = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
# Where a picture's boxes tell what its items are.
_BOXES: Final = 4096
_KNOWN: Final = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\x01\0", "ICO"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"%PDF-", "PDF"),
    (b"\x1aE\xdf\xa3", "WebM"),
)


def named_avif(data: bytes) -> bytes:
    """The same bytes, under the brand of AVIF if they are AVIF under that of any picture (mif1) alone.

    Pillow's decoder goes by the brands; an item of AV1 is named in the first boxes.
    """
    if data[4:8] != b"ftyp" or foreign(data) != "HEIC" or b"infe" not in data[:_BOXES]:
        return data
    items = data[:_BOXES]
    return data[:8] + b"avif" + data[12:] if b"av01" in items and b"hvc1" not in items else data


def foreign(data: bytes) -> str:
    """The name of a format that is not decoded here; "" for one that is, and for what has no name."""
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, size, 4))}
        if brands & {b"avif", b"avis"}:
            return ""
        return "HEIC" if brands & (_BRANDS | {b"mif1", b"msf1"}) else "MP4"
    return next((name for start, name in _KNOWN if data.startswith(start)), "")
