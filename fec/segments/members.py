"""The header of a tar's member, as tarfile writes it: the same for every original, but for its name and its length."""

from __future__ import annotations

import tarfile
from functools import cache
from typing import Final

_NAME: Final = 100
_SIZE: Final = slice(124, 136)
_CHECKSUM: Final = slice(148, 156)
_LARGEST: Final = 8**11


def member_header(name: str, length: int) -> bytes:
    """The 512 bytes before the ``length`` bytes of a file ``name`` of mode 0644 in a ustar archive.

    What ``tarfile`` gives, which takes ten times as long to put it together. ``name`` is ASCII of at most 100
    characters; ValueError for what a header of this kind cannot say.
    """
    named = name.encode("ascii")
    if len(named) > _NAME or not 0 <= length < _LARGEST:
        raise ValueError(f"{name}, {length} bytes: no member of a ustar archive")
    blank, checksum = _blank()
    header = bytearray(blank)
    size = b"%011o\0" % length
    header[: len(named)], header[_SIZE] = named, size
    header[_CHECKSUM] = b"%06o\0 " % (checksum + sum(named) + sum(size))
    return bytes(header)


@cache
def _blank() -> tuple[bytes, int]:
    """The header of a file without name and length, and its checksum, in which the checksum's own field is spaces."""
    member = tarfile.TarInfo("")
    member.mode = 0o644
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[_SIZE], header[_CHECKSUM] = bytes(12), b" " * 8
    return bytes(header), sum(header)
