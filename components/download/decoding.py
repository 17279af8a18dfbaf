"""A body out of its Content-Encoding, which hosts send although they are asked not to, and name as they like."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import pyarrow as pa

from components.download.formats import image_extension

PIECE: Final = 1 << 16
# Bytes that tell an image that was not encoded at all, whatever the header says.
_ENOUGH: Final = 64
_MOST_CODINGS: Final = 3

Pieces = AsyncIterator[bytes]


class Undecodable(Exception):
    """A coding nobody knows, or a body that is not in the one named."""


class BrokenOff(Exception):
    """A compressed body that ends too early."""


async def decoded(content_encoding: str, pieces: Pieces, most: int) -> Pieces:
    """``pieces`` as they were before they were encoded; ``most`` is for codings that need all of it at once.

    A body that already starts as an image does is that image: headers such as ``utf-8``, ``binary`` or a ``gzip``
    that was never done mean nothing then.
    """
    codings = [name for part in content_encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not codings:
        async for piece in pieces:
            yield piece
        return
    first = b""
    async for piece in pieces:
        first += piece
        if len(first) >= _ENOUGH:
            break
    source = _again(first, pieces)
    if image_extension(first) is None:
        if len(codings) > _MOST_CODINGS or not all(name in _DECODERS for name in codings):
            raise Undecodable(f"content encoding {content_encoding[:40]!r}")
        for name in reversed(codings):
            source = _DECODERS[name](source, most)
    async for piece in source:
        yield piece


async def _again(first: bytes, rest: Pieces) -> Pieces:
    yield first
    async for piece in rest:
        yield piece


async def _inflated(pieces: Pieces, most: int) -> Pieces:
    """gzip, of one member or more, and deflate with or without zlib's header."""
    inflate = None
    async for chunk in pieces:
        while chunk:
            if inflate is None:
                inflate = _inflater(chunk)
            elif inflate.eof:
                if not chunk.startswith(b"\x1f"):
                    return  # bytes after the end, which nobody reads
                inflate = zlib.decompressobj(wbits=47)
            try:
                yield inflate.decompress(chunk, PIECE)
            except zlib.error as error:
                raise Undecodable(f"the body is not compressed as it says: {error}") from None
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    while inflate is not None and not inflate.eof and (rest := inflate.decompress(b"", PIECE)):
        yield rest
    if inflate is not None and not inflate.eof:
        raise BrokenOff("the compressed body breaks off")


def _inflater(start: bytes) -> zlib._Decompress:
    try:
        zlib.decompressobj(wbits=47).decompress(start, 1)
    except zlib.error:
        return zlib.decompressobj(wbits=-15)
    return zlib.decompressobj(wbits=47)


def _whole(codec: str) -> Callable[[Pieces, int], Pieces]:
    async def decode(pieces: Pieces, most: int) -> Pieces:
        body = bytearray()
        async for piece in pieces:
            body += piece
            if len(body) > most:
                raise Undecodable(f"more than {most:,} bytes of {codec}")
        try:
            with pa.CompressedInputStream(pa.BufferReader(bytes(body)), codec) as stream:
                while piece := stream.read(PIECE):
                    yield piece
        except OSError as error:
            raise Undecodable(f"the body is not compressed as it says: {str(error)[:100]}") from None

    return decode


_DECODERS: Final[dict[str, Callable[[Pieces, int], Pieces]]] = {
    **dict.fromkeys(("gzip", "x-gzip", "deflate"), _inflated),
    "br": _whole("brotli"),
    "zstd": _whole("zstd"),
}
