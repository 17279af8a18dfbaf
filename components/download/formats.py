"""What a body is by its first bytes; what the host says of it is not believed."""

from __future__ import annotations

import re
from typing import Final

_MAGIC: Final = (
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
    # The length of the second header tells a bitmap from a text that starts with BM.
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "tif"),
    (re.compile(rb"....ftyp(avif|avis)", re.DOTALL), "avif"),
)


def image_extension(data: bytes | bytearray) -> str | None:
    """The usual extension of an image's format, or None if it does not start like one the faces step can decode."""
    return next((extension for magic, extension in _MAGIC if magic.match(data)), None)


def looks_like(data: bytes | bytearray) -> str:
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
