"""Formats that are decoded where somebody has installed what decodes them: their libraries have terms of their own.

pillow-heif is BSD, but its wheels hold libheif and libde265 (LGPL) and x265 (GPL); pillow-jxl-plugin is GPL.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any, Final

from fec.codecs import Unreadable


@dataclass(frozen=True)
class Extra:
    """An extra of this package by ``name``, the module it brings, and what Pillow calls the format then."""

    name: str
    module: str
    format: str


# By the names of fec.codecs.names.
EXTRAS: Final = {"HEIC": Extra("heic", "pillow_heif", "HEIF"), "JPEG XL": Extra("jxl", "pillow_jxl", "JXL")}


def format_of(named: str) -> str:
    """Pillow's name of a format of EXTRAS, from now on known to it; raises Unreadable where it is not installed."""
    extra = EXTRAS[named]
    try:
        plugin: Any = importlib.import_module(extra.module)
    except ImportError:
        raise Unreadable(f"{named} {_advice(extra)}") from None
    # One picture, one thread: workers are as many as there are cores.
    if extra.name == "heic":
        plugin.options.DECODE_THREADS = 1
        plugin.register_heif_opener()
    else:
        plugin.JpegXLImagePlugin.DECODE_THREADS = 0
    return extra.format


def lacking(detail: str) -> str:
    """The extra without which a picture was not decoded, as its ``detail`` says; "" for any other detail."""
    return next((extra.name for extra in EXTRAS.values() if detail.endswith(_advice(extra))), "")


def is_installed(name: str) -> bool:
    """Whether what the extra ``name`` brings is there."""
    module = next((extra.module for extra in EXTRAS.values() if extra.name == name), "")
    try:
        return bool(module) and importlib.util.find_spec(module) is not None
    except ValueError:  # somebody keeps it from being imported
        return False


def _advice(extra: Extra) -> str:
    return f"is decoded after pip install 'fec[{extra.name}]'"
