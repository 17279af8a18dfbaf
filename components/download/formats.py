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
    # The brand, or for a general one those it says it is compatible with.
    (re.compile(rb"....ftyp(avif|avis|(mif1|msf1|miaf)....(.{4}){0,8}avif)", re.DOTALL), "avif"),
    (re.compile(rb"....ftyp(hei[cxms]|hev[cmx]|mif1|msf1)", re.DOTALL), "heic"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), "jxl"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n"), "jp2"),
)


def image_extension(data: bytes | bytearray) -> str | None:
    """The usual extension of an image's format, or None if it does not start like any."""
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
