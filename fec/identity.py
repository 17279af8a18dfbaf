"""Names that follow from what they name: image and face ids, crop file names, fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from fec.boxes import Box

# 64 bits: for 160,000 images the odds of any two sharing an id are below one in a billion.
ID_HEX_DIGITS = 16
MAX_NAME_BYTES = 255
_ROWS = 4096
# Stands for rows in a JSON text that has no NUL.
_HERE = "\0rows\0"


def image_id(url: str) -> str:
    """16 hex digits for one unique URL."""
    return _hex(url)


def face_id(url: str, box: Box) -> str:
    """16 hex digits for one unique (URL, box); two faces of one photograph differ."""
    return _face_id(url, _edges(box))


def crop_name(url: str, box: Box, *, distinct: bool = False) -> str:
    """The published recipe's file name of a crop, at most 255 bytes, safe as one path component.

    ``cropped@left-right-top-bottom#URL`` with ``/`` as ``-`` and ``.jpg`` at the end. The rule is not
    injective (``a/b`` and ``a-b`` meet), so where names meet or are too long, ``distinct`` or the length
    puts the face id before the extension.
    """
    return _crop_name(url, _edges(box), distinct)


def face_names(url: str, box: Box) -> tuple[str, str]:
    """``face_id`` and ``crop_name`` of a face, at the cost of one of them."""
    edges = _edges(box)
    return _face_id(url, edges), _crop_name(url, edges, distinct=False)


def fingerprint(value: Mapping[str, Any]) -> str:
    """64 hex digits of a JSON-serialisable mapping, the same whatever the order of its keys."""
    return hashlib.sha256(_json(value).encode()).hexdigest()


def fingerprint_with(value: Mapping[str, Any], name: str, rows: Iterable[Sequence[str]]) -> str:
    """``fingerprint(value | {name: list(rows)})``, holding few of the rows at a time."""
    before, after = _json({**value, name: _HERE}).split(_json(_HERE))
    digest = hashlib.sha256(f"{before}[".encode())
    left, separator = iter(rows), b""
    while some := list(islice(left, _ROWS)):
        digest.update(separator + _json(some)[1:-1].encode())
        separator = b","
    digest.update(f"]{after}".encode())
    return digest.hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _edges(box: Box) -> list[str]:
    return list(map(repr, box))


def _face_id(url: str, edges: list[str]) -> str:
    return _hex("\n".join((url, *edges)))


def _crop_name(url: str, edges: list[str], distinct: bool) -> str:
    stem = f"cropped@{'-'.join(edges)}#{_as_component(url)}"
    stem = stem[:-4] if stem.lower().endswith(".jpg") else stem
    name = stem + ".jpg"
    if not distinct and len(name.encode()) <= MAX_NAME_BYTES:
        return name
    ending = f"~{_face_id(url, edges)}.jpg"
    kept = stem.encode()[: MAX_NAME_BYTES - len(ending)].decode(errors="ignore")
    return kept + ending


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:ID_HEX_DIGITS]


def _as_component(url: str) -> str:
    """A URL without path separators, control characters or anything a file system refuses."""
    if url.isprintable():
        return url.replace("/", "-")
    text = url.encode(errors="replace").decode()
    return "".join("-" if c == "/" else c if c.isprintable() else f"%{ord(c):02X}" for c in text)
