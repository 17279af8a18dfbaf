"""Where a web archive has a picture: the address that a template of the user's makes of the picture's URL."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from fec.urls import web_address

PLACE: Final = "{url}"
EXAMPLE: Final = "https://web.archive.org/web/2018id_/{url}"
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


def refuse_template(template: str) -> str:
    """What is wrong with a template; "" for a good one, and for none at all."""
    fault = _fault(template) if template else ""
    return fault and f"{fault}; for example {EXAMPLE}"


def _fault(template: str) -> str:
    if not (template.isascii() and template.isprintable() and " " not in template):
        return "expected printable ASCII without spaces"
    if template.count(PLACE) != 1:
        return f"expected {PLACE} in it, once, where the picture's URL goes"
    if set("{}") & set(template.replace(PLACE, "")):
        return f"nothing but {PLACE} is filled in: a date is to be written out"
    try:
        parts = web_address(template)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "expected an http or https address"
    if "@" in parts.netloc:
        return "expected no user name: it would be stored beside each picture"
    if PLACE not in parts.path + parts.query or not _HOST.fullmatch(host):
        return f"expected {PLACE} in the path or in the query of an http or https address"
    return ""


def address(template: str, url: str) -> str:
    """Where ``template`` says that a copy of ``url`` is.

    In a path the URL stands as it is, which is what the raw addresses of archives want (their path's end is the URL,
    its query included); in a query it is one value, and so percent-encoded.
    """
    in_query = PLACE in urlsplit(template).query
    return template.replace(PLACE, quote(url, safe="", errors="surrogateescape") if in_query else url)
