"""PNG: the chunks that pixels depend on, and no others, so that faulty or huge metadata spoils nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fec.codecs import Unreadable, check_size

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE: Final = 4 << 20

_PIXELS: Final = (b"IHDR", b"PLTE", b"IDAT")
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column and row, and their steps, of the seven passes.
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Png:
    """A PNG with nothing but what its pixels need, and the metadata that is used."""

    data: bytes
    exif: bytes
    icc: bytes


def read(data: bytes, max_pixels: int) -> Png:
    """The picture without what nobody needs; of an animation, its still picture.

    Raises Unreadable for data that did not all come, TooManyPixels by its header.
    """
    kept: list[bytes] = []
    compressed: list[bytes] = []
    exif = icc = b""
    srgb = False
    header: tuple[int, ...] = ()
    for kind, body, crc in _chunks(data):
        sound = zlib.crc32(kind + body) == crc
        if kind == b"IHDR" and not header:
            header = _header(body, max_pixels)
        if kind in _PIXELS and not sound:
            raise Unreadable(f"{_name(header)}broken")
        if kind in _PIXELS or (kind == b"tRNS" and sound):
            kept.append(len(body).to_bytes(4, "big") + kind + body + crc.to_bytes(4, "big"))
        if kind == b"IDAT":
            compressed.append(body)
        elif kind == b"eXIf" and sound:
            exif = body
        elif kind == b"iCCP" and sound:
            icc = _profile(body)
        elif kind == b"sRGB":
            srgb = True
    if not header:
        raise Unreadable("PNG: broken in its first bytes")
    _check_whole(compressed, header)
    end = b"\0\0\0\0IEND\xaeB`\x82"
    return Png(SIGNATURE + b"".join(kept) + end, exif, b"" if srgb else icc)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, body and checksum of each chunk that came whole, up to the end."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data) or kind == b"IEND":
            return
        yield kind, data[at + 8 : end - 4], int.from_bytes(data[end - 4 : end], "big")
        at = end


def _header(body: bytes, max_pixels: int) -> tuple[int, ...]:
    """Width, height, bits, channels, interlacing."""
    if len(body) != 13 or body[9] not in _CHANNELS:
        raise Unreadable("PNG: broken in its first bytes")
    width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    check_size(width, height, "PNG", max_pixels)
    return width, height, body[8], _CHANNELS[body[9]], body[12]


def _name(header: tuple[int, ...]) -> str:
    return f"{header[0]}x{header[1]} PNG: " if header else "PNG: "


def _check_whole(compressed: list[bytes], header: tuple[int, ...]) -> None:
    """Refuse a stream that ends before the last row: Pillow would leave the rest black."""
    width, height, bits, channels, interlaced = header
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    missing = 0
    for left, top, across, down in passes:
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            missing += rows * (1 + (columns * bits * channels + 7) // 8)
    stream = zlib.decompressobj()
    try:
        for part in compressed:
            while part and missing > 0:
                missing -= len(stream.decompress(part, _BLOCK))
                part = stream.unconsumed_tail
    except zlib.error:
        raise Unreadable(f"{_name(header)}broken") from None
    if missing > 0:
        raise Unreadable(f"{_name(header)}truncated")


def _profile(body: bytes) -> bytes:
    """The ICC profile of an iCCP chunk; b"" for one that is faulty or larger than any real one."""
    _, _, rest = body.partition(b"\0")
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(rest[1:], MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if stream.eof else b""
