"""A face and those nearest to it, side by side, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from fec.errors import ConfigurationError
from pipelines.embedding.neighbours import Neighbour

_SIDE: Final = 192
_GAP: Final = 16
_CAPTION: Final = 52
_COLUMNS: Final = 6
_INK: Final = "#1b1b1b"
_GREY: Final = "#5f6368"
_PAPER: Final = "white"


def draw(query: bytes, name: str, neighbours: Sequence[Neighbour]) -> Image.Image:
    """The query, framed, and the nearest after it, in rows, each with its distance and name."""
    columns = min(_COLUMNS, len(neighbours))
    rows = -(-len(neighbours) // columns)
    step_x, step_y = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = Image.new("RGB", (_GAP + step_x * (columns + 1) + _GAP, _GAP + step_y * rows), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _cell(sheet, pen, (_GAP, _GAP), query, ("asked for", name))
    pen.rectangle((_GAP - 4, _GAP - 4, _GAP + _SIDE + 3, _GAP + _SIDE + 3), outline=_INK, width=3)
    for place, neighbour in enumerate(neighbours):
        corner = (2 * _GAP + step_x * (1 + place % columns), _GAP + step_y * (place // columns))
        _cell(sheet, pen, corner, neighbour.crop, (f"{place + 1}.  {neighbour.distance:.3f}", neighbour.name))
    return sheet


def write(path: Path, sheet: Image.Image) -> None:
    """Put the sheet into a PNG; ConfigurationError where it cannot be written."""
    try:
        sheet.save(path, format="PNG")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error})") from None


def _cell(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], crop: bytes, caption: tuple[str, str]
) -> None:
    x, y = corner
    face = ImageOps.contain(Image.open(io.BytesIO(crop)).convert("RGB"), (_SIDE, _SIDE))
    sheet.paste(face, (x + (_SIDE - face.width) // 2, y + (_SIDE - face.height) // 2))
    pen.text((x, y + _SIDE + 6), caption[0], fill=_INK, font=ImageFont.load_default(18))
    small = ImageFont.load_default(13)
    pen.text((x, y + _SIDE + 30), _fitting(caption[1], small), fill=_GREY, font=small)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of the text as fits under a face."""
    if font.getlength(text) <= _SIDE:
        return text
    while text and font.getlength(f"{text}…") > _SIDE:
        text = text[:-1]
    return f"{text}…"
