"""What a body is by its first bytes; what the host says of it is not believed."""

from __future__ import annotations

# (offset, magic, extension): the formats the faces step can decode.
_MAGIC = (
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"BM", "bmp"),
    (0, b"II*\0", "tif"),
    (0, b"MM\0*", "tif"),
    (4, b"ftypavif", "avif"),
)


def image_extension(data: bytes) -> str | None:
    """The usual extension of an image's format, or None if it does not start like an image."""
    return next((extension for offset, magic, extension in _MAGIC if data.startswith(magic, offset)), None)


def looks_like(data: bytes) -> str:
    """A few words on a body that is no image, for the manifest."""
    if not data:
        return "an empty body"
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return "an HTML page"
    if head.startswith((b"<?xml", b"<svg")):
        return "XML"
    if head.startswith((b"{", b"[")):
        return "JSON"
    return "unknown bytes"
