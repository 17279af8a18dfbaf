"""JPEG XL: its size is held against the limit before its decoder, which decodes on opening the file, sees it.

The size stands at the start of the codestream (ISO/IEC 18181-1, SizeHeader), which may lie in boxes (18181-2).
"""

from __future__ import annotations

from typing import Final

from fec.codecs import Unreadable, check_size

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
# Width for a height, by the ratio's number.
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_BITS: Final = (9, 13, 18, 30)


def check(data: bytes, max_pixels: int) -> None:
    """Raise TooManyPixels for a JPEG XL that announces more than allowed, Unreadable for one without a size.

    Other bytes pass.
    """
    if data.startswith(_CONTAINER):
        data = _codestream(data)
    elif not data.startswith(_CODESTREAM):
        return
    if not data.startswith(_CODESTREAM) or len(data) < 12:
        raise Unreadable("JPEG XL: broken in its first bytes")
    width, height = _size(int.from_bytes(data[2:12], "little"))
    check_size(width, height, "JPEG XL", max_pixels)


def _codestream(data: bytes) -> bytes:
    """The first bytes of the codestream in the boxes of a container; b"" if there are none."""
    at = 0
    while at + 8 <= len(data):
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            return data[start : start + 16]
        if size < start - at:
            break
        at += size
    return b""


def _size(bits: int) -> tuple[int, int]:
    small, bits = bits & 1, bits >> 1
    height, bits = _length(bits, bool(small))
    ratio, bits = bits & 7, bits >> 3
    if ratio:
        numerator, denominator = _RATIOS[ratio - 1]
        return height * numerator // denominator, height
    return _length(bits, bool(small))[0], height


def _length(bits: int, small: bool) -> tuple[int, int]:
    """A length and the bits behind it."""
    if small:
        return ((bits & 31) + 1) * 8, bits >> 5
    count, bits = _BITS[bits & 3], bits >> 2
    return (bits & ((1 << count) - 1)) + 1, bits >> count
