"""JPEG through libjpeg-turbo (simplejpeg), which says when data did not come; and what lies around its pixels.

libjpeg fills what is missing with grey and warns of it. A marker at the end says nothing of what came before, so the
warning decides, and for a picture made of several scans whether every coefficient came at its full precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg

from fec.codecs import RGB, Unreadable

SIGNATURE: Final = b"\xff\xd8\xff"
END: Final = b"\xff\xd9"

# libjpeg decodes each scan over the whole picture, so thousands of empty scans are a bomb of time;
# encoders write about ten.
MAX_SCANS: Final = 100

# libjpeg-turbo reports its first warning, which may hide one of missing data. These are of bytes that no pixel needs,
# and are put right: the warning, what stands before the bytes, how far, and values without warning.
_HARMLESS: Final = (
    ("Warning: unknown JFIF revision", b"JFIF\0", 5, b"\1"),
    ("Unknown Adobe color transform", b"Adobe", 11, b"\1"),
)
# In the only scan of a sequential picture: first and last coefficient, and precision.
_ODD_SCAN: Final = "Invalid SOS parameters"
_WHOLE_SCAN: Final = b"\0\x3f\0"

_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALL: Final = (1 << 64) - 1
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN: Final = 0xDA
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_EXIF: Final = b"Exif\0\0"
_ICC: Final = b"ICC_PROFILE\0"


@dataclass(frozen=True)
class Jpeg:
    """What a JPEG says of itself; 0 pixels where it has no frame.

    ``whole``: its scans, if all their data came, make the whole picture.
    """

    width: int
    height: int
    exif: bytes
    icc: bytes
    scans: int
    whole: bool


def read(data: bytes) -> Jpeg:
    """What lies around the pixels; never raises for what is broken there."""
    width = height = 0
    exif = b""
    profile: dict[int, bytes] = {}
    components: frozenset[int] = frozenset()
    progressive = False
    exact: dict[int, int] = {}
    scans = 0
    for code, body in _segments(data):
        if code == 0xE1 and body.startswith(_EXIF) and not exif:
            exif = body
        elif code == 0xE2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
            profile[body[len(_ICC)]] = body[len(_ICC) + 2 :]
        elif code in _FRAMES and not components:
            components, progressive = frozenset(body[6::3]), code in _PROGRESSIVE
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        elif code == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                break
            for component, coefficients in _exact(body, progressive):
                exact[component] = exact.get(component, 0) | coefficients
    whole = all(exact.get(component) == _ALL for component in components)
    return Jpeg(width, height, exif, b"".join(profile[number] for number in sorted(profile)), scans, whole)


def pixels(data: bytes, jpeg: Jpeg) -> RGB:
    """The picture, which came whole; raises Unreadable if it did not.

    CMYK is read as Adobe writes it, inverted, with its marker or without, as browsers do.
    """
    if jpeg.scans > MAX_SCANS:
        raise Unreadable(f"more than {MAX_SCANS} scans")
    rgb, wrong = _decoded(data, jpeg)
    if wrong.startswith("Premature end of JPEG file"):
        # A picture may lack its end marker and nothing else.
        rgb, wrong = _decoded(data + END, jpeg)
    for warning, before, distance, value in _HARMLESS:
        if wrong.startswith(warning):
            data = _put(data, data.index(before) + distance, value)
            rgb, wrong = _decoded(data, jpeg)
    if wrong.startswith(_ODD_SCAN) and jpeg.scans == 1:
        scan = data.rindex(b"\xff\xda")
        rgb, wrong = _decoded(_put(data, scan + 5 + 2 * data[scan + 4], _WHOLE_SCAN), jpeg)
    if rgb is None:
        raise Unreadable("truncated" if "remature end" in wrong else "broken")
    if not jpeg.whole:
        raise Unreadable("truncated")
    return rgb


def _put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _decoded(data: bytes, jpeg: Jpeg) -> tuple[RGB | None, str]:
    """The picture, or what libjpeg says is wrong with it, warnings too."""
    # Of its own size, so that libjpeg cannot take the picture for a larger one than was allowed.
    rgb: RGB = np.empty((jpeg.height, jpeg.width, 3), np.uint8)
    try:
        decoded: RGB = simplejpeg.decode_jpeg(data, "RGB", buffer=rgb)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of hostile bytes
        return None, str(error)
    return decoded, ""


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers and what follows them, up to the end marker or the end."""
    at = 2
    while 0 <= at < len(data) - 1:
        code = data[at + 1]
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
        elif code == 0xFF:
            at += 1
        elif code == 0xD9:
            return
        elif code in (0x00, 0x01) or 0xD0 <= code <= 0xD8:
            at += 2
        else:
            length = max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            yield code, data[at + 4 : at + 2 + length]
            at += 2 + length
            if code == _SCAN:
                marker = _AFTER_SCAN.search(data, at)
                at = marker.start() if marker else len(data)


def _exact(scan: bytes, progressive: bool) -> list[tuple[int, int]]:
    """The components of a scan, and as bits which coefficients its header says it brings to their full precision."""
    count = scan[0] if scan else 0
    ids, rest = scan[1 : 1 + 2 * count : 2], scan[1 + 2 * count :]
    if not progressive:
        return [(component, _ALL) for component in ids]
    if len(rest) < 3 or rest[2] & 0x0F:
        return []
    first, last = rest[0], min(rest[1], 63)
    return [(component, _ALL & (1 << (last + 1)) - (1 << first)) for component in ids if first <= last]
